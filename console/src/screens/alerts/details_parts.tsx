/** What the details of an alert and of a rule have in common. */

import { Link } from "@tanstack/react-router";
import type { Labels, Rule } from "~/api/alerts";
import { useT } from "~/i18n/use_t";
import { CopyButton } from "~/parts/copy_button";
import { Icon } from "~/parts/icon";
import classes from "./alerts.module.css";
import { lengthText } from "./lengths";
import { safeLink } from "./ways";

/** The expression, and how long it must hold. */
export function Expression({ rule }: { readonly rule: Rule }) {
  const t = useT();
  return (
    <>
      <div className={classes.expression}>
        <pre>{rule.query}</pre>
        <CopyButton text={rule.query} />
      </div>
      <p className={classes.lengths}>
        {rule.type === "alert" && <span>{`for ${lengthText(rule.for_ms)}`}</span>}
        {rule.keep_firing_for_ms > 0 && <span>{`keep_firing_for ${lengthText(rule.keep_firing_for_ms)}`}</span>}
        <Link to="/metrics" search={{ view: "query", q: [{ id: "A", expr: rule.query }] }}>{t("alerts.inExplorer")}</Link>
      </p>
    </>
  );
}

const FIRST = ["summary", "description", "message"];

/** What the rule says to people; the runbook as the button it is. */
export function Annotations({ annotations }: { readonly annotations: Labels }) {
  const t = useT();
  const { runbook_url: runbook, ...rest } = annotations;
  const first = FIRST.flatMap((name) => (rest[name] === undefined || rest[name] === "" ? [] : [[name, rest[name]] as const]));
  const others = Object.entries(rest).filter(([name]) => !FIRST.includes(name));
  const href = runbook === undefined ? null : safeLink(runbook);
  if (first.length === 0 && others.length === 0 && runbook === undefined) return null;
  return (
    <div className={classes.annotations}>
      {first.map(([name, text]) => <p key={name} data-name={name}>{text}</p>)}
      {others.map(([name, text]) => <Other key={name} name={name} text={text} />)}
      {runbook !== undefined && (
        href === null ? <Other name="runbook_url" text={runbook} /> : (
          <a className={classes.way} href={href} target="_blank" rel="noreferrer">
            <Icon name="link" sizePx={14} />{t("alerts.runbook")}
          </a>
        )
      )}
    </div>
  );
}

function Other({ name, text }: { readonly name: string; readonly text: string }) {
  const href = safeLink(text);
  return (
    <p className={classes.annotation}>
      <span className="muted">{name}</span>{" "}
      {href === null ? text : <a href={href} target="_blank" rel="noreferrer">{text}</a>}
    </p>
  );
}
