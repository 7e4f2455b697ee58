/** What relabelling did, rule by rule: what each one looked at, and what it changed. */

import type { Labels } from "~/api/prometheus";
import type { RelabelRule, RelabelStep } from "~/api/targets";

/** A label that is not there before, or not after, has null there. */
export interface LabelChange {
  readonly name: string;
  readonly before: string | null;
  readonly after: string | null;
}

export interface StepStory {
  readonly rule: RelabelRule;
  /** `dropped`: by this rule; `unreached`: one before it has dropped the target. */
  readonly outcome: "changed" | "same" | "kept" | "dropped" | "unreached";
  readonly changes: readonly LabelChange[];
  /** Null where there are none. */
  readonly after: Labels | null;
  /** The values of source_labels, joined; null for rules that look at names. */
  readonly value: string | null;
}

const BY_NAME: readonly string[] = ["labelmap", "labeldrop", "labelkeep"];
/** They keep a target or drop it, and change nothing. */
const BY_VALUE: readonly string[] = ["keep", "drop", "keepequal", "dropequal"];
const SEPARATOR = ";";

export function stories(discovered: Labels, steps: readonly RelabelStep[]): StepStory[] {
  const found: StepStory[] = [];
  let before: Labels | null = withoutEmpty(discovered);
  for (const { rule, labels } of steps) {
    const changes = before === null || labels === null ? [] : changesOf(before, labels);
    const outcome =
      before === null ? "unreached"
      : labels === null ? "dropped"
      : changes.length > 0 ? "changed"
      : BY_VALUE.includes(rule.action) ? "kept"
      : "same";
    found.push({ rule, outcome, changes, after: labels, value: before === null ? null : valueOf(rule, before) });
    before = labels;
  }
  return found;
}

/** A label with an empty value is one that is not there. */
function withoutEmpty(labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ""));
}

export function changesOf(before: Labels, after: Labels): LabelChange[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names
    .map((name) => ({ name, before: before[name] ?? null, after: after[name] ?? null }))
    .filter((one) => one.before !== one.after);
}

function valueOf(rule: RelabelRule, labels: Labels): string | null {
  if (BY_NAME.includes(rule.action)) return null;
  return (rule.source_labels ?? []).map((name) => labels[name] ?? "").join(rule.separator ?? SEPARATOR);
}

/** As it stands in the file. */
export function ruleLines(rule: RelabelRule): string[] {
  const { action, source_labels, separator, regex, modulus, target_label, replacement } = rule;
  const lines: string[] = [];
  if (source_labels !== undefined) lines.push(`source_labels: [${source_labels.join(", ")}]`);
  if (separator !== undefined) lines.push(`separator: ${quoted(separator)}`);
  if (regex !== undefined) lines.push(`regex: ${quoted(regex)}`);
  if (modulus !== undefined) lines.push(`modulus: ${modulus}`);
  if (target_label !== undefined) lines.push(`target_label: ${target_label}`);
  if (replacement !== undefined) lines.push(`replacement: ${quoted(replacement)}`);
  return [...lines, `action: ${action}`];
}

const PLAIN = /^[A-Za-z0-9_.(/$\\][A-Za-z0-9_.()/\\$+*|^;-]*$/;
const NO_TEXT = /^(?:true|false|yes|no|on|off|null|[\d.]+)$/i;

/** A scalar of YAML that is read back as this text. */
function quoted(text: string): string {
  return PLAIN.test(text) && !NO_TEXT.test(text) ? text : `'${text.replaceAll("'", "''")}'`;
}
