/** A titled piece of a screen. */

import type { ReactNode } from "react";
import classes from "./parts.module.css";

interface Props {
  readonly title: string;
  /** Beside the title: a count, a unit. */
  readonly note?: ReactNode;
  /** At the right: links and switches. */
  readonly actions?: ReactNode;
  readonly children: ReactNode;
  /** Tables go to the edge. */
  readonly isFlush?: boolean;
  readonly className?: string | undefined;
}

export function Panel({ title, note, actions, children, isFlush = false, className }: Props) {
  return (
    <section className={[classes.panel, className].join(" ")} aria-label={title}>
      <header className={classes.panelHead}>
        <h2 className={classes.panelTitle}>{title}</h2>
        {note !== undefined && <span className={classes.panelNote}>{note}</span>}
        <span className={classes.panelActions}>{actions}</span>
      </header>
      <div className={isFlush ? classes.panelFlush : classes.panelBody}>{children}</div>
    </section>
  );
}
