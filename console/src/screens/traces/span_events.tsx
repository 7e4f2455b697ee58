/** Events of a span in order of time; an exception is its message and a stack that can be read. */

import { useState } from "react";
import type { SpanEvent } from "~/api/traces";
import { duration } from "~/format/durations";
import { fullTime, nanosecondsOf } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { CopyButton } from "~/parts/copy_button";
import { useZone } from "~/state/preferences";
import { AttributeList } from "./attribute_list";
import classes from "./details.module.css";
import { stackLines } from "./readable";

interface Props {
  readonly events: readonly SpanEvent[];
  readonly traceStartNs: bigint;
}

const STACK = "exception.stacktrace";
const SHOWN_KEYS = new Set(["exception.type", "exception.message", STACK]);
const STACK_LINES = 16;

export function SpanEvents({ events, traceStartNs }: Props) {
  const zone = useZone();
  const t = useT();
  return events.map((event, at) => {
    const sinceNs = Number(nanosecondsOf(event.timestamp) - traceStartNs);
    const rest = Object.fromEntries(Object.entries(event.attributes).filter(([key]) => !SHOWN_KEYS.has(key)));
    return (
      <article key={at} className={classes.event}>
        <header>
          <strong>{event.name === "" ? "–" : event.name}</strong>
          <span className="muted" title={fullTime(event.timestamp, zone)}>{`${sinceNs < 0 ? "" : "+"}${duration(sinceNs)}`}</span>
        </header>
        {(event.attributes["exception.type"] ?? event.attributes["exception.message"]) !== undefined && (
          <p className={classes.exception}>
            <strong>{event.attributes["exception.type"] ?? ""}</strong>
            {` ${event.attributes["exception.message"] ?? ""}`}
          </p>
        )}
        {event.attributes[STACK] !== undefined && <StackTrace text={event.attributes[STACK]} />}
        <AttributeList values={rest} />
        {event.dropped_attributes_count > 0 && (
          <p className="muted">{t("traces.dropped", { n: event.dropped_attributes_count })}</p>
        )}
      </article>
    );
  });
}

/** Its end is shown first: with most languages the last lines say what happened and where. */
function StackTrace({ text }: { readonly text: string }) {
  const t = useT();
  const [isWhole, setWhole] = useState(false);
  const lines = stackLines(text.trimEnd());
  const isCut = !isWhole && lines.length > STACK_LINES;
  const isPython = text.startsWith("Traceback") || text.includes("\nTraceback");
  const shown = !isCut ? lines : isPython ? lines.slice(-STACK_LINES) : lines.slice(0, STACK_LINES);
  const more = isCut && (
    <button type="button" className={classes.linkButton} onClick={() => setWhole(true)}>
      {t("traces.moreLines", { n: lines.length - STACK_LINES })}
    </button>
  );
  return (
    <div className={classes.stack}>
      <span className={classes.stackCopy}><CopyButton text={text} label={t("traces.copyStack")} /></span>
      {isPython && more}
      <pre>
        {shown.map((line, at) => (
          <span key={at} data-foreign={line.isForeign || undefined}>{`${line.text}\n`}</span>
        ))}
      </pre>
      {!isPython && more}
    </div>
  );
}
