/** The whole body: JSON set out over lines, colours of the terminal, or exactly as it came. */

import { SegmentedControl } from "@mantine/core";
import { useMemo, useState } from "react";
import { exact } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { CopyButton } from "~/parts/copy_button";
import { hasEscapes, plain } from "./ansi";
import { StyledText } from "./body_text";
import { JsonText } from "./json_text";
import { jsonTokens } from "./json_tokens";
import classes from "./logs.module.css";

interface Props {
  readonly text: string;
  readonly found: RegExp | null;
}

const FIRST_MAX = 20_000;

export function BodyView({ text, found }: Props) {
  const t = useT();
  const [isRaw, setRaw] = useState(false);
  const [isWhole, setWhole] = useState(false);
  const tokens = useMemo(() => jsonTokens(text), [text]);
  const hasTwo = tokens !== null || hasEscapes(text);
  const shown = isWhole ? text : text.slice(0, FIRST_MAX);
  return (
    <section className={classes.body} aria-label={t("logs.field.body")}>
      <header className={classes.detailHead}>
        <h3>{t("logs.field.body")}</h3>
        <span className="muted">{t("logs.signs", { n: text.length, shown: exact(text.length) })}</span>
        {hasTwo && (
          <SegmentedControl
            className={classes.detailSwitch} size="xs" aria-label={t("logs.bodyForm")}
            value={isRaw ? "raw" : "formed"} onChange={(value) => setRaw(value === "raw")}
            data={[
              { value: "formed", label: tokens === null ? t("logs.coloured") : "JSON" },
              { value: "raw", label: t("logs.raw") },
            ]}
          />
        )}
        <CopyButton text={plain(text)} label={`${t("parts.copy")}: ${t("logs.field.body")}`} />
      </header>
      <pre className={classes.bodyText} tabIndex={0}>
        {text === "" && <span className="muted">{'""'}</span>}
        {tokens !== null && !isRaw ? (
          <JsonText tokens={tokens} found={found} />
        ) : (
          <StyledText text={isRaw ? shown.replaceAll("\u001b", "\u241b") : shown} found={found} />
        )}
      </pre>
      {(tokens === null || isRaw) && shown.length < text.length && (
        <button type="button" className={classes.more} onClick={() => setWhole(true)}>
          {t("logs.showWhole", { n: exact(text.length - shown.length) })}
        </button>
      )}
    </section>
  );
}
