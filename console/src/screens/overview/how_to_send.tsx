/** The lines that make something send to here. */

import { CodeLine } from "~/parts/code_line";
import classes from "./overview.module.css";

const LINES = {
  otlp: () => [
    `OTEL_EXPORTER_OTLP_ENDPOINT=http://${location.hostname}:4318`,
    "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
  ],
  prometheus: () => [`remote_write: [{url: "${location.origin}/api/v1/write"}]`],
} as const;

export function HowToSend({ what }: { readonly what: keyof typeof LINES }) {
  return (
    <span className={classes.lines}>
      {LINES[what]().map((line) => (
        <CodeLine key={line} text={line} />
      ))}
    </span>
  );
}
