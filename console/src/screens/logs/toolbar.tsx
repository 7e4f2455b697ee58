/** Above the lines: how many there are, what the question cost, and how they are shown. */

import { Button, SegmentedControl, Tooltip } from "@mantine/core";
import type { ReactNode } from "react";
import type { LogHistogram } from "~/api/logs";
import { duration } from "~/format/durations";
import { count, exact } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { CopyButton } from "~/parts/copy_button";
import { Icon } from "~/parts/icon";
import classes from "./logs.module.css";
import type { LogList } from "./use_log_list";

interface Props {
  readonly histogram: LogHistogram | undefined;
  readonly list: LogList;
  readonly order: "asc" | "desc";
  readonly isWrapped: boolean;
  readonly isFollowing: boolean;
  readonly link: string;
  readonly columnsMenu: ReactNode;
  readonly onOrder: (order: "asc" | "desc") => void;
  readonly onWrapped: () => void;
  readonly onFollowing: () => void;
}

export function Toolbar(props: Props) {
  const { list, isFollowing } = props;
  const t = useT();
  return (
    <div className={classes.toolbar} role="toolbar" aria-label={t("logs.toolbar")}>
      <span className={classes.counts} aria-live="polite">
        <Counts histogram={props.histogram} list={list} />
      </span>
      <span className={classes.tools}>
        <SegmentedControl
          size="xs" aria-label={t("logs.order")} value={props.order} disabled={isFollowing}
          onChange={(value) => props.onOrder(value === "asc" ? "asc" : "desc")}
          data={[
            { value: "desc", label: t("logs.newest") },
            { value: "asc", label: t("logs.oldest") },
          ]}
        />
        <Button
          variant="default" size="compact-xs" data-switch aria-pressed={props.isWrapped}
          title={`${t("logs.wrap")} (w)`} onClick={props.onWrapped}
        >
          {t("logs.wrap")}
        </Button>
        {props.columnsMenu}
        <Tooltip label={`${t(isFollowing ? "logs.followOff" : "logs.followOn")} (f)`}>
          <Button
            variant={isFollowing ? "filled" : "default"} size="compact-xs" aria-pressed={isFollowing}
            leftSection={<Icon name={isFollowing ? "pause" : "play"} sizePx={12} />} onClick={props.onFollowing}
          >
            {t("logs.follow")}
          </Button>
        </Tooltip>
        <CopyButton text={props.link} label={t("logs.copyLink")} />
      </span>
    </div>
  );
}

function Counts({ histogram, list }: { readonly histogram: LogHistogram | undefined; readonly list: LogList }) {
  const t = useT();
  if (histogram === undefined) return null;
  const readRows = histogram.read_rows + list.readRows;
  const elapsed = duration((histogram.elapsed_ms + list.elapsedMs) * 1e6);
  return (
    <>
      <strong>{t("logs.count", { n: histogram.total, shown: exact(histogram.total) })}</strong>
      <span className="muted" title={t("logs.costLong")}>
        {t("logs.cost", { rows: count(readRows), time: elapsed })}
      </span>
    </>
  );
}
