/** Asks before dead letters are replayed or deleted, and tells if that failed. */

import { Button, Modal } from "@mantine/core";
import { type LetterAction, useLetterAction } from "~/api/sources";
import { useT } from "~/i18n/use_t";
import { ErrorNote } from "~/parts/states";
import classes from "./sources.module.css";

interface Props {
  readonly action: LetterAction;
  readonly ids: readonly string[];
  readonly onClose: () => void;
  readonly onDone?: () => void;
}

export function LetterConfirm({ action, ids, onClose, onDone }: Props) {
  const t = useT();
  const { mutate, isPending, error } = useLetterAction();
  const isDelete = action === "delete";
  const run = () =>
    mutate(
      { action, ids },
      {
        onSuccess: () => {
          onDone?.();
          onClose();
        },
      },
    );
  return (
    <Modal
      opened onClose={onClose} closeButtonProps={{ "aria-label": t("parts.close") }}
      title={t(isDelete ? "sources.deleteAsk" : "sources.replayAsk", { n: ids.length })}
    >
      <p className={classes.confirmText}>{t(isDelete ? "sources.deleteWhat" : "sources.replayWhat")}</p>
      {error !== null && <ErrorNote error={error} />}
      <div className={classes.confirmButtons}>
        <Button variant="default" onClick={onClose} data-autofocus>
          {t("parts.cancel")}
        </Button>
        <Button color={isDelete ? "danger" : "accent"} loading={isPending} onClick={run}>
          {t(isDelete ? "sources.delete" : "sources.replay")}
        </Button>
      </div>
    </Modal>
  );
}
