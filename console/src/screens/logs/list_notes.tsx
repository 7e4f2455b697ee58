/** What a person must know about the list besides its lines: it waits, it lags, it lost the server. */

import { Button } from "@mantine/core";
import { exact } from "~/format/numbers";
import { dateTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { useZone } from "~/state/preferences";
import classes from "./logs.module.css";
import type { Connection } from "./use_follow";
import type { LogList } from "./use_log_list";

interface Props {
  readonly list: LogList;
  readonly isFollowing: boolean;
  /** Further down than the top. */
  readonly isScrolled: boolean;
  readonly onNewest: () => void;
}

export function ListNotes({ list, isFollowing, isScrolled, onNewest }: Props) {
  const t = useT();
  const zone = useZone();
  const { follow } = list;
  if (!isFollowing) {
    if (!list.isHeld) return null;
    return (
      <div className={classes.heldNote} role="status">
        <span>{t("logs.heldAt", { time: dateTime(list.range.toMs, zone).slice(11) })}</span>
        <Button size="compact-xs" variant="default" onClick={onNewest}>{t("logs.showNewest")}</Button>
      </div>
    );
  }
  return (
    <div className={classes.note} role="status" data-state={follow.connection}>
      <span className={classes.pulse} data-state={follow.connection} aria-hidden />
      <span>{t(`logs.connection.${stateOf(follow.connection, isScrolled)}`)}</span>
      {list.waiting > 0 && (
        <Button
          size="compact-xs" variant="filled" leftSection={<Icon name="up" sizePx={12} />} onClick={onNewest}
        >
          {t("logs.waiting", { n: list.waiting, shown: exact(list.waiting) })}
        </Button>
      )}
      {follow.skipped > 0 && (
        <span className={classes.noteBad}>
          <Icon name="warning" sizePx={13} />
          {t("logs.skipped", { n: follow.skipped, shown: exact(follow.skipped) })}
        </span>
      )}
      {follow.error !== null && (
        <span className={classes.noteBad}>{t.maybe(`error.${follow.error.code}`) ?? follow.error.message}</span>
      )}
    </div>
  );
}

function stateOf(connection: Connection, isScrolled: boolean): "connecting" | "open" | "held" | "lost" {
  if (connection === "open") return isScrolled ? "held" : "open";
  return connection === "off" ? "connecting" : connection;
}
