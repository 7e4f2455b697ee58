/** A query put together by choosing. It reads the text, and each choice writes it and asks it. */

import { ActionIcon, Autocomplete, Button, MultiSelect, Select, TextInput } from "@mantine/core";
import type { MetricLabel } from "~/api/metrics";
import { useLabels } from "~/api/prometheus";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { useTimeRange } from "~/state/use_time_range";
import {
  AGGREGATIONS, type Built, type LabelMatch, MATCH_OPS, NOTHING_BUILT, printBuilt, readBuilt, WINDOWED,
} from "./built";
import classes from "./explore.module.css";
import { useKnownNames } from "./known_names";
import { usualExpr } from "./usual";

interface Props {
  readonly text: string;
  /** For a function that is chosen first. */
  readonly window: string;
  readonly onText: (text: string) => void;
}

const OPTIONS_MAX = 100;
const QUANTILES = ["0.5", "0.9", "0.95", "0.99"];

export function Builder({ text, window, onText }: Props) {
  const t = useT();
  const built = readBuilt(text);
  if (built === null) return <p className={classes.note}>{t("explore.tooMuch")}</p>;
  return <Choices built={built} window={window} onText={onText} />;
}

function Choices({ built, window, onText }: { built: Built; window: string; onText: (text: string) => void }) {
  const t = useT();
  const { range } = useTimeRange();
  const metrics = useKnownNames(range).data ?? [];
  const labels = useLabels(range, printBuilt({ ...NOTHING_BUILT, metric: built.metric }));
  const change = (changed: Partial<Built>) => onText(printBuilt({ ...built, ...changed }));
  const names = [...new Set([...labels.map((one) => one.label), ...built.by])].sort();
  const pick = (metric: string) => {
    const found = metrics.find((one) => one.metric === metric);
    if (built.fn === "" && built.agg === "" && found !== undefined) onText(usualExpr(found, window));
    else change({ metric, matchers: [] });
  };
  return (
    <div className={classes.builder} role="group" aria-label={t("explore.builder")}>
      <Select
        label={t("metrics.metric")} searchable className={classes.builderMetric} limit={OPTIONS_MAX}
        value={built.metric === "" ? null : built.metric} nothingFoundMessage={t("explore.noMetric")}
        data={[...new Set([...metrics.map((one) => one.metric), ...(built.metric === "" ? [] : [built.metric])])]}
        onChange={(metric) => {
          if (metric !== null) pick(metric);
        }}
      />
      <Matchers built={built} labels={labels} onChange={(matchers) => change({ matchers })} />
      <Select
        label={t("explore.function")} className={classes.builderFunction} value={built.fn}
        data={[{ value: "", label: t("metrics.fn.value") }, ...WINDOWED]} allowDeselect={false}
        onChange={(fn) => change({ fn: fn ?? "", window: built.fn === "" ? window : built.window })}
      />
      {built.fn !== "" && (
        <Window key={built.window} window={built.window} onWindow={(one) => change({ window: one })} />
      )}
      <Select
        label={t("explore.together")} className={classes.builderFunction} value={built.agg} allowDeselect={false}
        data={[{ value: "", label: t("metrics.agg.none") }, ...AGGREGATIONS]}
        onChange={(agg) => change({ agg: agg ?? "", by: agg === "" ? [] : built.by })}
      />
      {built.agg !== "" && (
        <MultiSelect
          label={built.isWithout ? t("explore.without") : t("metrics.by")} className={classes.builderBy} searchable clearable
          data={names} value={[...built.by]} hidePickedOptions nothingFoundMessage={t("metrics.noLabels")}
          onChange={(by) => change({ by })}
        />
      )}
      {(built.quantile !== "" || built.metric.endsWith("_bucket")) && (
        <Select
          label={t("explore.quantile")} className={classes.builderWindow} value={built.quantile} allowDeselect={false}
          data={[{ value: "", label: t("explore.noQuantile") }, ...new Set([...QUANTILES, built.quantile].filter((one) => one !== ""))]}
          onChange={(quantile) => change(quantile === null || quantile === "" ? { quantile: "" } : ofBuckets(built, quantile, window))}
        />
      )}
    </div>
  );
}

/** A quantile needs the rate of buckets, kept apart by their bound. */
function ofBuckets(built: Built, quantile: string, window: string): Partial<Built> {
  const rate = built.fn === "" ? { fn: "rate", window } : {};
  const by = built.isWithout || built.by.includes("le") ? built.by : ["le", ...built.by];
  return { quantile, ...rate, by, agg: built.agg === "" ? "sum" : built.agg };
}

/** Taken when it is left or confirmed, so that half a duration is not asked. */
function Window({ window, onWindow }: { readonly window: string; readonly onWindow: (window: string) => void }) {
  const t = useT();
  return (
    <TextInput
      label={t("explore.window")} className={classes.builderWindow} defaultValue={window}
      onBlur={(event) => {
        const typed = event.currentTarget.value.trim();
        if (typed !== window && /^\d+(?:ms|[smhdwy])$/.test(typed)) onWindow(typed);
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter") event.currentTarget.blur();
      }}
    />
  );
}

interface MatchersProps {
  readonly built: Built;
  readonly labels: readonly MetricLabel[];
  readonly onChange: (matchers: readonly LabelMatch[]) => void;
}

function Matchers({ built, labels, onChange }: MatchersProps) {
  const t = useT();
  const { matchers } = built;
  const free = labels.find((one) => !matchers.some((other) => other.label === one.label));
  return (
    <div className={classes.matchers} role="group" aria-label={t("explore.labels")}>
      <span className={classes.fieldTitle}>{t("explore.labels")}</span>
      {matchers.map((match, at) => (
        <Matcher
          key={`${at} ${match.label} ${match.value}`} match={match} labels={labels}
          onChange={(changed) => onChange(matchers.map((one, other) => (other === at ? changed : one)))}
          onRemove={() => onChange(matchers.filter((_, other) => other !== at))}
        />
      ))}
      <Button
        variant="default" disabled={free === undefined} leftSection={<Icon name="plus" sizePx={12} />}
        onClick={() => {
          if (free === undefined) return;
          onChange([...matchers, { label: free.label, op: "=", value: free.values[0]?.value ?? "" }]);
        }}
      >
        {t("explore.addLabel")}
      </Button>
    </div>
  );
}

interface MatcherProps {
  readonly match: LabelMatch;
  readonly labels: readonly MetricLabel[];
  readonly onChange: (match: LabelMatch) => void;
  readonly onRemove: () => void;
}

function Matcher({ match, labels, onChange, onRemove }: MatcherProps) {
  const t = useT();
  const values = labels.find((one) => one.label === match.label)?.values ?? [];
  const taken = (value: string) => {
    if (value !== match.value) onChange({ ...match, value });
  };
  return (
    <span className={classes.matcher}>
      <Select
        aria-label={t("metrics.label")} className={classes.matcherLabel} searchable value={match.label}
        data={[...new Set([...labels.map((one) => one.label), match.label])]} allowDeselect={false}
        onChange={(label) => {
          const first = labels.find((one) => one.label === label)?.values[0]?.value ?? "";
          if (label !== null) onChange({ label, op: match.op, value: first });
        }}
      />
      <Select
        aria-label={t("metrics.operator")} className={classes.matcherOp} value={match.op} data={[...MATCH_OPS]}
        allowDeselect={false} onChange={(op) => onChange({ ...match, op: op ?? "=" })}
      />
      <Autocomplete
        aria-label={t("metrics.labelValue")} className={classes.matcherValue} defaultValue={match.value} limit={OPTIONS_MAX}
        size="xs" data={[...new Set(values.map((one) => one.value))]} onOptionSubmit={taken}
        onBlur={(event) => taken(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") taken(event.currentTarget.value);
        }}
      />
      <ActionIcon size="sm" aria-label={`${t("explore.removeLabel")}: ${match.label}`} onClick={onRemove}>
        <Icon name="close" sizePx={12} />
      </ActionIcon>
    </span>
  );
}
