/** JSON in the colours of its parts. */

import { useState } from "react";
import { useT } from "~/i18n/use_t";
import { marked } from "./highlight";
import type { Token } from "./json_tokens";
import classes from "./logs.module.css";

interface Props {
  readonly tokens: readonly Token[];
  readonly found: RegExp | null;
}

const TOKENS_FIRST = 4000;

export function JsonText({ tokens, found }: Props) {
  const t = useT();
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole ? tokens : tokens.slice(0, TOKENS_FIRST);
  return (
    <>
      {shown.map((token, at) =>
        token.kind === "sign" || token.kind === "space" ? (
          token.text
        ) : (
          <span key={at} className={classes.json} data-kind={token.kind}>
            {marked(token.text, found).map((mark, part) =>
              mark.isFound ? <mark key={part} className={classes.found}>{mark.text}</mark> : mark.text,
            )}
          </span>
        ),
      )}
      {shown.length < tokens.length && (
        <button type="button" className={classes.more} onClick={() => setWhole(true)}>
          {t("logs.showAll")}
        </button>
      )}
    </>
  );
}
