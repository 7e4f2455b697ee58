/** What went wrong, whole, in the words of who said it; to be copied. */

import { CopyButton } from "./copy_button";
import { Icon } from "./icon";
import classes from "./parts.module.css";

export function FailureText({ label, text }: { readonly label: string; readonly text: string }) {
  return (
    <div className={classes.failure} role="note" aria-label={label}>
      <Icon name="error" />
      <span>{text}</span>
      <CopyButton text={text} />
    </div>
  );
}
