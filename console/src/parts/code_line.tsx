/** A line to be copied into a shell or a configuration. */

import { CopyButton } from "./copy_button";
import classes from "./parts.module.css";

export function CodeLine({ text }: { readonly text: string }) {
  return (
    <span className={classes.code}>
      <code>{text}</code>
      <CopyButton text={text} />
    </span>
  );
}
