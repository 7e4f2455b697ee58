/** How a metric is asked: what a point shows, how series are put together, by which labels, and which. */

import { Button, MultiSelect, Popover, SegmentedControl, Select } from "@mantine/core";
import { useState } from "react";
import { type Aggregation, type MetricFunction, type MetricLabel, useMetricLabels } from "~/api/metrics";
import { count } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { withCondition } from "~/state/filters";
import { useTimeRange } from "~/state/use_time_range";
import type { Asking } from "./asking";
import classes from "./metrics.module.css";
import type { MetricsSearch } from "./search";

interface Props {
  readonly name: string;
  readonly asking: Asking;
  readonly search: MetricsSearch;
  readonly onChange: (changed: Partial<MetricsSearch>) => void;
}

const FUNCTIONS: readonly MetricFunction[] = ["value", "rate", "increase"];
const AGGREGATIONS: readonly Aggregation[] = ["none", "sum", "avg", "min", "max", "count"];
const LABELS_MAX = 10;

export function QueryBar({ name, asking, search, onChange }: Props) {
  const t = useT();
  const { range } = useTimeRange();
  const labels = useMetricLabels(range, name, search.filter ?? []).data?.labels ?? [];
  const names = [...new Set([...labels.map((one) => one.label), ...asking.by])].sort();
  return (
    <div className={classes.queryBar} role="group" aria-label={t("metrics.question")}>
      <SegmentedControl
        size="xs" aria-label={t("metrics.function")} value={asking.fn}
        data={FUNCTIONS.map((fn) => ({ value: fn, label: t(`metrics.fn.${fn}`) }))}
        onChange={(fn) => onChange({ fn })}
      />
      <Select
        className={classes.aggregation} aria-label={t("metrics.aggregation")} allowDeselect={false} value={asking.agg}
        data={AGGREGATIONS.map((agg) => ({ value: agg, label: t(`metrics.agg.${agg}`) }))}
        onChange={(agg) => {
          if (agg !== null) onChange({ agg, by: agg === "none" ? undefined : search.by });
        }}
      />
      <MultiSelect
        className={classes.by} aria-label={t("metrics.by")} searchable clearable data={names} value={[...asking.by]}
        placeholder={asking.by.length === 0 ? t("metrics.by") : ""} maxValues={LABELS_MAX}
        nothingFoundMessage={t("metrics.noLabels")} hidePickedOptions
        onChange={(by) => onChange({ by, agg: asking.agg === "none" ? "sum" : asking.agg })}
      />
      <LabelFilter
        labels={labels}
        onAdd={(label, op, value) =>
          onChange({ filter: withCondition(search.filter ?? [], { field: `labels.${label}`, op, value }) })
        }
      />
    </div>
  );
}

type FilterOp = "=" | "!=" | "contains" | "not_contains";
const OPS: readonly FilterOp[] = ["=", "!=", "contains", "not_contains"];

interface FilterProps {
  readonly labels: readonly MetricLabel[];
  readonly onAdd: (label: string, op: FilterOp, value: string) => void;
}

/** Labels and their values are offered; any text may be typed as a value. */
function LabelFilter({ labels, onAdd }: FilterProps) {
  const t = useT();
  const [isOpen, setOpen] = useState(false);
  const [label, setLabel] = useState<string | null>(null);
  const [op, setOp] = useState<FilterOp>("=");
  const [typed, setTyped] = useState("");
  const chosen = labels.find((one) => one.label === label);
  const add = (value: string) => {
    if (label === null) return;
    onAdd(label, op, value);
    setTyped("");
    setOpen(false);
  };
  const offered = (chosen?.values ?? []).map((one) => ({
    value: one.value, label: `${one.value === "" ? '""' : one.value}  ·  ${count(one.series)}`,
  }));
  const isNew = typed !== "" && !offered.some((one) => one.value === typed);
  return (
    <Popover opened={isOpen} onChange={setOpen} position="bottom-end" shadow="md" trapFocus withinPortal>
      <Popover.Target>
        <Button variant="default" leftSection={<Icon name="filter" sizePx={13} />} onClick={() => setOpen(!isOpen)}>
          {t("metrics.addFilter")}
        </Button>
      </Popover.Target>
      <Popover.Dropdown className={classes.filterForm}>
        <Select
          label={t("metrics.label")} searchable value={label} onChange={setLabel} comboboxProps={{ withinPortal: false }}
          data={labels.map((one) => ({ value: one.label, label: `${one.label}  ·  ${count(one.distinct)}` }))}
          nothingFoundMessage={t("metrics.noLabels")}
        />
        <SegmentedControl
          size="xs" value={op} aria-label={t("metrics.operator")} onChange={setOp}
          data={OPS.map((one) => ({ value: one, label: t(`metrics.op.${one}`) }))}
        />
        <Select
          label={t("metrics.labelValue")} searchable disabled={label === null} value={null} searchValue={typed}
          onSearchChange={setTyped} comboboxProps={{ withinPortal: false }} limit={200}
          data={isNew ? [{ value: typed, label: t("metrics.typedValue", { value: typed }) }, ...offered] : offered}
          filter={({ options, search: text }) =>
            options.filter((one) => "label" in one && one.label.toLowerCase().includes(text.toLowerCase()))
          }
          onChange={(value) => {
            if (value !== null) add(value);
          }}
        />
      </Popover.Dropdown>
    </Popover>
  );
}
