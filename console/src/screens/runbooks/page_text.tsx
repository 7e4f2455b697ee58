/** A page's text. Queries can be copied; those of PromQL be opened in Metrics. */

import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { useT } from "~/i18n/use_t";
import { CopyButton } from "~/parts/copy_button";
import { type Block, blocksOf, inlineOf } from "./blocks";
import classes from "./runbooks.module.css";

export function PageText({ text }: { readonly text: string }) {
  const blocks = useMemo(() => blocksOf(text), [text]);
  return (
    <article className={classes.page}>
      {blocks.map((block, at) => (
        <OneBlock key={at} block={block} />
      ))}
    </article>
  );
}

function OneBlock({ block }: { readonly block: Block }) {
  switch (block.kind) {
    case "heading":
      return block.level === 1 ? <h2 className={classes.name}>{block.text}</h2> : <h3>{block.text}</h3>;
    case "paragraph":
      return <p><Line text={block.text} /></p>;
    case "code":
      return <CodeBlock language={block.language} text={block.text} />;
    case "list": {
      const items = block.items.map((item, at) => <li key={at}><Line text={item} /></li>);
      return block.isNumbered ? <ol>{items}</ol> : <ul>{items}</ul>;
    }
  }
}

function Line({ text }: { readonly text: string }) {
  return inlineOf(text).map((part, at) => {
    if (part.kind === "code") return <code key={at}>{part.text}</code>;
    if (part.kind === "text") return <span key={at}>{part.text}</span>;
    return <PageLink key={at} to={part.to}>{part.text}</PageLink>;
  });
}

/** To another page, or out of the console. */
function PageLink({ to, children }: { readonly to: string; readonly children: string }) {
  const name = /^\/runbooks\/(\w+)$/.exec(to)?.[1];
  if (name !== undefined) return <Link to="/runbooks/$name" params={{ name }}>{children}</Link>;
  return /^https?:\/\//.test(to) ? <a href={to} rel="noreferrer">{children}</a> : <span>{children}</span>;
}

function CodeBlock({ language, text }: { readonly language: string; readonly text: string }) {
  const t = useT();
  return (
    <div className={classes.codeBlock}>
      <div className={classes.codeHead}>
        <span className="muted">{t.maybe(`runbooks.language.${language}`) ?? language}</span>
        {language === "promql" && (
          <Link to="/metrics" search={{ view: "query", q: [{ id: "A", expr: text }] }}>{t("runbooks.openMetrics")}</Link>
        )}
        <CopyButton text={text} />
      </div>
      <pre tabIndex={0}><code>{text}</code></pre>
    </div>
  );
}
