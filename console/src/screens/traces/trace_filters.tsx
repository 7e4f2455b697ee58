/** What a trace must have one span of: service, operation, status, duration, any attribute. */

import { SegmentedControl, Select, TextInput } from "@mantine/core";
import { type KeyboardEvent, useState } from "react";
import { useServices } from "~/api/traces";
import { parseDuration } from "~/format/durations";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { withCondition } from "~/state/filters";
import { useTimeRange } from "~/state/use_time_range";
import { useTyped } from "~/state/use_typed";
import type { TracesSearch } from "./search";
import { TRACE_ID, typedCondition } from "./typed_condition";
import classes from "./traces.module.css";

interface Props {
  readonly search: TracesSearch;
  readonly onChange: (changed: Partial<TracesSearch>, isTyping?: boolean) => void;
  readonly onTraceId: (traceId: string) => void;
}

const SELECT = { searchable: true, clearable: true, comboboxProps: { width: 280, position: "bottom-start" } } as const;

export function TraceFilters({ search, onChange, onTraceId }: Props) {
  const t = useT();
  const isOperations = search.view === "operations";
  return (
    <div className={classes.filters} role="search" aria-label={t("traces.filters")}>
      <ServiceSelects search={search} onChange={onChange} hasOperation={!isOperations} />
      {isOperations ? (
        <PartInput value={search.part ?? ""} onChange={(part) => onChange({ part }, true)} />
      ) : (
        <>
          <Select
            className={classes.filterStatus} aria-label={t("traces.status")} placeholder={t("traces.anyStatus")}
            clearable value={search.status ?? null}
            data={[
              { value: "ERROR", label: t("traces.statusError") },
              { value: "OK", label: t("traces.statusOk") },
              { value: "UNSET", label: t("traces.statusUnset") },
            ]}
            onChange={(value) => onChange({ status: value ?? undefined })}
          />
          <DurationInput
            key={`min ${search.min ?? ""}`} label={t("traces.min")} placeholder="≥ 100ms" value={search.min}
            onChange={(min) => onChange({ min })}
          />
          <DurationInput
            key={`max ${search.max ?? ""}`} label={t("traces.max")} placeholder="≤ 5s" value={search.max}
            onChange={(max) => onChange({ max })}
          />
          <ConditionInput
            onTyped={(text) => {
              const condition = typedCondition(text);
              if (TRACE_ID.test(text.trim())) onTraceId(text.trim().toLowerCase());
              else if (condition !== null) onChange({ filter: withCondition(search.filter ?? [], condition) });
            }}
          />
          <SegmentedControl
            aria-label={t("traces.order")} value={search.order ?? "newest"} size="xs"
            data={[
              { value: "newest", label: t("traces.newest") },
              { value: "slowest", label: t("traces.slowest") },
            ]}
            onChange={(order) => onChange({ order: order === "slowest" ? "slowest" : undefined })}
          />
        </>
      )}
    </div>
  );
}

function PartInput({ value, onChange }: { readonly value: string; readonly onChange: (part: string) => void }) {
  const t = useT();
  const [typed, setTyped] = useTyped(value, onChange);
  return (
    <TextInput
      className={classes.filterText} data-search value={typed} aria-label={t("traces.partOfName")}
      placeholder={t("traces.partOfName")} leftSection={<Icon name="search" sizePx={14} />}
      onChange={(event) => setTyped(event.currentTarget.value)}
    />
  );
}

interface SelectsProps {
  readonly search: TracesSearch;
  readonly onChange: Props["onChange"];
  readonly hasOperation: boolean;
}

/** What the address names is offered even if it is not in this range. */
function ServiceSelects({ search, onChange, hasOperation }: SelectsProps) {
  const t = useT();
  const { range } = useTimeRange();
  const services = useServices(range).data?.services ?? [];
  const names = services.map((one) => one.service).filter((one) => one !== "");
  const operations = services
    .filter((one) => search.service === undefined || one.service === search.service)
    .flatMap((one) => one.operations)
    .filter((one) => one !== "");
  return (
    <>
      <Select
        {...SELECT} className={classes.filterService} aria-label={t("traces.service")} placeholder={t("traces.anyService")}
        value={search.service ?? null} data={withValue(names, search.service)} nothingFoundMessage={t("parts.noData")}
        onChange={(service) => onChange({ service: service ?? undefined, operation: undefined })}
      />
      {hasOperation && (
        <Select
          {...SELECT} className={classes.filterOperation} aria-label={t("traces.operation")} limit={200}
          placeholder={t("traces.anyOperation")} nothingFoundMessage={t("parts.noData")}
          value={search.operation ?? null} data={withValue(operations, search.operation)}
          onChange={(operation) => onChange({ operation: operation ?? undefined })}
        />
      )}
    </>
  );
}

function withValue(values: readonly string[], value: string | undefined): string[] {
  const all = new Set(values);
  if (value !== undefined) all.add(value);
  return [...all].sort();
}

interface DurationProps {
  readonly label: string;
  readonly placeholder: string;
  readonly value: string | undefined;
  readonly onChange: (value: string | undefined) => void;
}

/** Asked when it is left or Enter is pressed; what is no length of time is marked and not asked. */
function DurationInput({ label, placeholder, value, onChange }: DurationProps) {
  const t = useT();
  const [typed, setTyped] = useState(value ?? "");
  const isWrong = typed.trim() !== "" && parseDuration(typed) === null;
  const done = () => {
    const text = typed.trim() === "" ? undefined : typed.trim();
    if (!isWrong && text !== value) onChange(text);
  };
  return (
    <TextInput
      className={classes.filterDuration} aria-label={label} title={isWrong ? t("traces.durationWrong") : label}
      placeholder={placeholder} value={typed} error={isWrong} onBlur={done}
      onChange={(event) => setTyped(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter") done();
      }}
    />
  );
}

function ConditionInput({ onTyped }: { readonly onTyped: (text: string) => void }) {
  const t = useT();
  const [typed, setTyped] = useState("");
  const pressed = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.nativeEvent.isComposing) return;
    onTyped(typed);
    setTyped("");
  };
  return (
    <TextInput
      className={classes.filterText} data-search aria-label={t("traces.condition")} title={t("traces.conditionHelp")}
      placeholder={t("traces.conditionExample")} leftSection={<Icon name="filter" sizePx={14} />}
      value={typed} onChange={(event) => setTyped(event.currentTarget.value)} onKeyDown={pressed}
    />
  );
}
