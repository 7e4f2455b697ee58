/** What each rule of relabelling did to a target, one after the other. */

import type { Labels } from "~/api/prometheus";
import type { RelabelRule, TargetDetails } from "~/api/targets";
import { useT } from "~/i18n/use_t";
import { changesOf, type LabelChange, ruleLines, stories, type StepStory } from "./relabelling";
import classes from "./targets.module.css";

export function RelabelSteps({ details }: { readonly details: TargetDetails }) {
  const t = useT();
  const told = stories(details.discovered, details.steps);
  const last = told.at(-1)?.after ?? (told.length === 0 ? details.discovered : null);
  return (
    <>
      {told.length === 0 && <p className="muted">{t("targets.noRules")}</p>}
      <ol className={classes.steps}>
        {told.map((story, at) => (
          <Step key={at} story={story} number={at + 1} />
        ))}
      </ol>
      {details.target !== null && last !== null && <AtTheEnd before={last} after={details.labels} />}
    </>
  );
}

function Step({ story, number }: { readonly story: StepStory; readonly number: number }) {
  const t = useT();
  return (
    <li className={classes.step} data-outcome={story.outcome}>
      <div className={classes.stepHead}>
        <span className={classes.stepNumber}>{number}</span>
        <code>{story.rule.action}</code>
        <span className={classes.outcome}>{t(`targets.outcome.${story.outcome}`, { n: story.changes.length })}</span>
      </div>
      <pre className={classes.rule}>{ruleLines(story.rule).join("\n")}</pre>
      {story.value !== null && (
        <p className={classes.looked}>
          <span className="muted">{t("targets.value")}</span> <code>{story.value === "" ? '""' : story.value}</code>
        </p>
      )}
      <Changes changes={story.changes} />
      {story.after !== null && <After labels={story.after} changes={story.changes} />}
    </li>
  );
}

/** A changed label has both values, the old one struck out. */
function Changes({ changes }: { readonly changes: readonly LabelChange[] }) {
  const t = useT();
  if (changes.length === 0) return null;
  return (
    <ul className={classes.changes}>
      {changes.map(({ name, before, after }) => (
        <li key={name} data-kind={before === null ? "added" : after === null ? "removed" : "changed"}>
          <span className={classes.sign} aria-label={t(before === null ? "targets.added" : after === null ? "targets.removed" : "targets.changed")}>
            {before === null ? "+" : after === null ? "−" : "~"}
          </span>
          <span>
            {name}={before !== null && <del>{before}</del>}
            {before !== null && after !== null && " → "}
            {after !== null && <ins>{after}</ins>}
          </span>
        </li>
      ))}
    </ul>
  );
}

function After({ labels, changes }: { readonly labels: Labels; readonly changes: readonly LabelChange[] }) {
  const t = useT();
  const marked = new Set(changes.map((one) => one.name));
  const entries = Object.entries(labels);
  return (
    <details className={classes.after}>
      <summary>{t("targets.labelsAfter", { n: entries.length })}</summary>
      <ul className={classes.changes}>
        {entries.map(([name, value]) => (
          <li key={name} data-kind={marked.has(name) ? "added" : undefined}>
            <span className={classes.sign}>{marked.has(name) ? "+" : ""}</span>
            <span>{name}={value}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

/** What follows without a rule: __meta_ labels go, and instance is the address where nobody set it. */
function AtTheEnd({ before, after }: { readonly before: Labels; readonly after: Labels }) {
  const t = useT();
  const changes = changesOf(before, after);
  const gone = changes.filter((one) => one.after === null);
  const kept = changes.filter((one) => one.after !== null);
  if (changes.length === 0) return null;
  return (
    <div className={classes.step} data-outcome="end">
      <div className={classes.stepHead}>
        <span className={classes.outcome}>{t("targets.atTheEnd", { n: gone.length })}</span>
      </div>
      <Changes changes={kept} />
    </div>
  );
}

/** Those that look at every series of the target. */
export function MetricRules({ rules }: { readonly rules: readonly RelabelRule[] }) {
  return (
    <ol className={classes.steps}>
      {rules.map((rule, at) => (
        <li key={at} className={classes.step}>
          <pre className={classes.rule}>{ruleLines(rule).join("\n")}</pre>
        </li>
      ))}
    </ol>
  );
}
