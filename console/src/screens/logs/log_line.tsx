/** The cells of one line. */

import { memo } from "react";
import type { LogRow } from "~/api/logs";
import { millisecondsOf, rowTime } from "~/format/times";
import { useZone } from "~/state/preferences";
import { severityOf } from "~/theme";
import { RowBody } from "./body_text";
import { valueOf } from "./columns";
import classes from "./logs.module.css";

interface Props {
  readonly row: LogRow;
  readonly columns: readonly string[];
  readonly isWrapped: boolean;
  /** Without the day. */
  readonly isTimeShort: boolean;
  readonly found: RegExp | null;
}

export const LogLine = memo(function LogLine({ row, columns, isWrapped, isTimeShort, found }: Props) {
  const zone = useZone();
  const time = rowTime(millisecondsOf(row.timestamp), zone);
  return (
    <>
      <span
        className={classes.lineMark} style={{ background: `var(--tl-${severityOf(row.severity).toLowerCase()})` }}
        aria-hidden
      />
      <span className={classes.lineTime} role="gridcell" title={row.timestamp}>
        {isTimeShort ? time.slice(6) : time}
      </span>
      {columns.map((field) => (
        <span key={field} className={classes.lineCell} role="gridcell">
          {field === "severity" ? (
            <SeverityWord row={row} />
          ) : (
            <span title={valueOf(row, field)}>{valueOf(row, field)}</span>
          )}
        </span>
      ))}
      <span className={classes.lineBody} role="gridcell">
        {row.body === "" ? (
          <span className="muted">{row.event_name === "" ? '""' : row.event_name}</span>
        ) : (
          <RowBody text={row.body} found={found} isWrapped={isWrapped} />
        )}
      </span>
    </>
  );
});

/** The mark of its colour stands at the beginning of the line. */
function SeverityWord({ row }: { readonly row: LogRow }) {
  const known = severityOf(row.severity);
  return (
    <span
      className={classes.severity} style={{ color: `var(--tl-${known.toLowerCase()}-text)` }}
      title={row.severity_text === known ? undefined : row.severity_text}
    >
      {known === "UNSET" ? "–" : known}
    </span>
  );
}
