/** A severity in its colour, with its word: the colour is never alone. */

import { severityOf } from "~/theme";
import classes from "./parts.module.css";

interface Props {
  readonly severity: string;
  /** The sender's own word, shown on hover. */
  readonly text?: string;
}

export function SeverityBadge({ severity, text }: Props) {
  const known = severityOf(severity);
  const color = `var(--tl-${known.toLowerCase()}-text)`;
  return (
    <span className={classes.severity} style={{ color }} title={text === known ? undefined : text}>
      <span className={classes.severityMark} style={{ background: `var(--tl-${known.toLowerCase()})` }} />
      {known === "UNSET" ? "–" : known}
    </span>
  );
}
