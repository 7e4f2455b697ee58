/** What the same source wrote before and after a line, whatever the search is. */

import { Button } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { type LogRow, useLogContext } from "~/api/logs";
import { millisecondsOf, rowTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { Answered, Loading } from "~/parts/states";
import { useZone } from "~/state/preferences";
import { severityOf } from "~/theme";
import { RowBody } from "./body_text";
import classes from "./logs.module.css";
import { sourceConditions } from "./row_fields";

interface Props {
  readonly row: LogRow;
  readonly found: RegExp | null;
  readonly onRow: (row: LogRow) => void;
  readonly onSource: (row: LogRow) => void;
}

const STEP = 20;
const MOST = 500;

export function Around({ row, found, onRow, onSource }: Props) {
  const t = useT();
  const [rows, setRows] = useState({ before: STEP, after: STEP });
  const asked = useLogContext(row.id, rows);
  const source = sourceConditions(row).map((one) => String(one.value)).join(" · ");
  const more = (side: "before" | "after", there: number) => (
    <MoreButton
      side={side} isEnd={there < rows[side]} isAsking={asked.isPlaceholderData}
      onMore={() => setRows({ ...rows, [side]: Math.min(MOST, rows[side] * 2) })}
      isMost={rows[side] >= MOST}
    />
  );
  return (
    <section aria-label={t("logs.tab.around")}>
      <header className={classes.detailHead}>
        <span className="muted cut" title={source}>{source === "" ? t("logs.noSource") : source}</span>
        <Button
          className={classes.detailSwitch} size="compact-xs" variant="default"
          leftSection={<Icon name="search" sizePx={12} />} onClick={() => onSource(row)}
        >
          {t("logs.searchSource")}
        </Button>
      </header>
      <Answered asked={asked} loading={<Loading heightPx={400} lines={18} />}>
        {(answer) => (
          <>
            {more("before", answer.before.length)}
            <ol className={classes.around}>
              {[...answer.before, answer.row, ...answer.after].map((one) => (
                <AroundLine
                  key={one.id} row={one} found={found} isHere={one.id === answer.row.id} onRow={onRow}
                />
              ))}
            </ol>
            {more("after", answer.after.length)}
          </>
        )}
      </Answered>
    </section>
  );
}

interface LineProps {
  readonly row: LogRow;
  readonly found: RegExp | null;
  readonly isHere: boolean;
  readonly onRow: (row: LogRow) => void;
}

function AroundLine({ row, found, isHere, onRow }: LineProps) {
  const zone = useZone();
  const line = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (isHere) line.current?.scrollIntoView({ block: "center" });
  }, [isHere]);
  return (
    <li ref={line} className={classes.aroundLine} aria-current={isHere || undefined}>
      <button type="button" onClick={() => onRow(row)} disabled={isHere}>
        <span
          className={classes.lineMark} aria-hidden
          style={{ background: `var(--tl-${severityOf(row.severity).toLowerCase()})` }}
        />
        <span className={classes.lineTime} title={row.severity}>
          {rowTime(millisecondsOf(row.timestamp), zone).slice(6)}
        </span>
        <span className={classes.lineBody}>
          <RowBody text={row.body} found={found} isWrapped={isHere} />
        </span>
      </button>
    </li>
  );
}

interface MoreProps {
  readonly side: "before" | "after";
  readonly isEnd: boolean;
  readonly isMost: boolean;
  readonly isAsking: boolean;
  readonly onMore: () => void;
}

function MoreButton({ side, isEnd, isMost, isAsking, onMore }: MoreProps) {
  const t = useT();
  if (isEnd && !isAsking) {
    return <p className={classes.aroundEnd}>{t(side === "before" ? "logs.nothingBefore" : "logs.nothingAfter")}</p>;
  }
  if (isMost) return <p className={classes.aroundEnd}>{t("parts.truncated")}</p>;
  return (
    <Button fullWidth size="compact-xs" variant="subtle" color="gray" loading={isAsking} onClick={onMore}>
      {t(side === "before" ? "logs.moreBefore" : "logs.moreAfter")}
    </Button>
  );
}
