/** Labels in one line of a table; all of them on hover. */

import type { Labels } from "~/api/prometheus";
import classes from "./parts.module.css";

interface Props {
  readonly labels: Labels;
  /** Told elsewhere in the row. */
  readonly without?: readonly string[];
}

export function LabelText({ labels, without = [] }: Props) {
  const entries = Object.entries(labels);
  const shown = entries.filter(([name]) => !without.includes(name));
  return (
    <span title={entries.map(([name, value]) => `${name}="${value}"`).join("\n")}>
      {shown.map(([name, value]) => (
        <span key={name} className={classes.label}>
          <span className="muted">{name}=</span>
          {value}
        </span>
      ))}
    </span>
  );
}
