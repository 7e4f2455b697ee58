/** How something is: a mark and its word, never the colour alone. */

import type { ReactNode } from "react";
import { Icon, type IconName } from "./icon";
import classes from "./parts.module.css";

/** `plain` asks for no attention, nor does `good`. */
export type Tone = "good" | "bad" | "doubtful" | "plain" | "quiet";

interface Props {
  readonly tone: Tone;
  /** Absent: the word alone. */
  readonly icon?: IconName;
  readonly children: ReactNode;
}

export function StateMark({ tone, icon, children }: Props) {
  return (
    <span className={classes.state} data-tone={tone}>
      {icon !== undefined && <Icon name={icon} sizePx={13} />}
      {children}
    </span>
  );
}
