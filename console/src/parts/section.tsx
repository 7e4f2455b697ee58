/** A titled piece of what is shown beside a list. */

import type { ReactNode } from "react";
import classes from "./parts.module.css";

interface Props {
  readonly title: string;
  /** Beside the title: a count, what it is. */
  readonly note?: string | undefined;
  /** At the right: links. */
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}

export function Section({ title, note, actions, children }: Props) {
  return (
    <section className={classes.section} aria-label={title}>
      <header>
        <h3>{title}</h3>
        {note !== undefined && <span className={classes.sectionNote}>{note}</span>}
        <span className={classes.sectionEnd}>{actions}</span>
      </header>
      {children}
    </section>
  );
}
