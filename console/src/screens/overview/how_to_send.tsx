/** The lines that make something send to here, with the address that really listens. */

import { type Status, useStatus } from "~/api/sources";
import { CodeLine } from "~/parts/code_line";
import { otlpEndpoint } from "./addresses";
import classes from "./overview.module.css";

const LINES = {
  otlp: (listening: Status["listening"]) => [
    `OTEL_EXPORTER_OTLP_ENDPOINT=${otlpEndpoint(listening, location)}`,
    "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
  ],
  prometheus: () => [`remote_write: [{url: "${location.origin}/api/v1/write"}]`],
} as const;

export function HowToSend({ what }: { readonly what: keyof typeof LINES }) {
  const { data } = useStatus();
  return (
    <span className={classes.lines}>
      {LINES[what](data?.listening ?? []).map((line) => (
        <CodeLine key={line} text={line} />
      ))}
    </span>
  );
}
