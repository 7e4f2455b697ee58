/** Queries in PromQL, several at once: over time as plots, or at the end of the range as tables. */

import { Button, SegmentedControl, Switch, TextInput, useComputedColorScheme } from "@mantine/core";
import { useMemo, useState } from "react";
import { useExemplars, useInstants, useMetricUnits, useRanges } from "~/api/prometheus";
import { duration } from "~/format/durations";
import { dateTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { Empty, Loading } from "~/parts/states";
import { useShortcuts } from "~/shell/keys";
import { useLookAgain } from "~/shell/use_look_again";
import { useZone } from "~/state/preferences";
import { useTimeRange } from "~/state/use_time_range";
import type { MetricsSearch } from "../search";
import { Examples } from "./examples";
import classes from "./explore.module.css";
import { Graph } from "./graph";
import { InstantTable } from "./instant_table";
import { linesOf } from "./lines";
import { writtenOf } from "./meaning";
import { metricsOf } from "./promql_text";
import { type PromQuery, QUERIES_MAX, stepOf, usualStepMs, usualWindow, withQuery } from "./queries";
import { QueryRow, type Said } from "./query_row";
import { useLast } from "./use_last";

interface Props {
  readonly search: MetricsSearch;
  readonly onChange: (changed: Partial<MetricsSearch>, isTyping?: boolean) => void;
}

const METRICS_MAX = 24;
const FIRST: readonly PromQuery[] = [{ id: "A", expr: "" }];

export function Explorer({ search, onChange }: Props) {
  const t = useT();
  const zone = useZone();
  const scheme = useComputedColorScheme("dark");
  const lookAgain = useLookAgain();
  const { range } = useTimeRange();
  const queries = search.q ?? FIRST;
  const isTable = search.as === "table";
  const usualMs = usualStepMs(range);
  const stepMs = (search.step === undefined ? null : stepOf(search.step, range)) ?? usualMs;
  const drafts = useDrafts(queries);

  const shown = queries.filter((one) => one.off !== true && one.expr.trim() !== "");
  const exprs = shown.map((one) => one.expr);
  const ranges = useRanges(exprs, range, stepMs, !isTable);
  const instants = useInstants(exprs, range.toMs, isTable);
  const asked = isTable ? instants : ranges;
  const exemplars = useExemplars(exprs, range, !isTable && search.exemplars === true);
  const units = useMetricUnits([...new Set(queries.flatMap((one) => metricsOf(one.expr)))].slice(0, METRICS_MAX));
  const written = (query: PromQuery) => writtenOf(query.expr, units);

  const stable = useStable(shown);
  const answers = useStable(useLast(shown, ranges));
  const values = useLast(shown, instants);
  const unitsKey = JSON.stringify(units);
  const lines = useMemo(() => {
    const known = JSON.parse(unitsKey) as Record<string, string>;
    const drawn = stable.flatMap((query, at) => {
      const answer = answers[at];
      return answer === undefined ? [] : [{ query, answer, written: writtenOf(query.expr, known) }];
    });
    return linesOf(drawn, scheme);
  }, [stable, answers, unitsKey, scheme]);

  const put = (q: readonly PromQuery[]) => onChange({ q });
  const run = (id: string, text?: string) => {
    const textOf = (one: PromQuery) => (one.id === id && text !== undefined ? text : drafts.textOf(one));
    const next = queries.map((one) => ({ ...one, expr: textOf(one) }));
    if (next.every((one, at) => one.expr === queries[at]?.expr)) lookAgain();
    else put(next);
  };
  const add = () => put(withQuery(queries.map((one) => ({ ...one, expr: drafts.textOf(one) })), ""));
  const setBuilder = () => onChange({ builder: search.builder === true ? undefined : true }, true);
  const setTable = () => onChange({ as: isTable ? undefined : "table" });
  useShortcuts([
    { keys: "e", label: t("explore.keyEdit"), group: "onScreen", run: focusEditor },
    { keys: "a", label: t("explore.add"), group: "onScreen", run: add },
    { keys: "b", label: t("explore.builder"), group: "onScreen", run: setBuilder },
    { keys: "v", label: t("explore.keyView"), group: "onScreen", run: setTable },
  ]);

  const isChanged = queries.some((one) => drafts.textOf(one) !== one.expr);
  const isWaiting = asked.some((one) => one.isFetching && one.data === undefined);
  const hasAnswer = (isTable ? values : answers).some((one) => one !== undefined);
  const saidOf = (query: PromQuery): Said => {
    const at = shown.indexOf(query);
    const one = asked[at];
    const answer = isTable ? values[at] : answers[at];
    return {
      error: one?.error ?? null, warnings: answer?.warnings ?? [], infos: answer?.infos ?? [],
      cost: answer?.cost ?? null, isWaiting: one?.data === undefined,
      histograms: (isTable ? undefined : answers[at]?.histograms) ?? 0,
    };
  };
  return (
    <section className={classes.explorer} aria-label={t("metrics.view.query")}>
      <div className={classes.queries}>
        {queries.map((query) => (
          <QueryRow
            key={query.id} query={query} text={drafts.textOf(query)} said={saidOf(query)} window={usualWindow(stepMs)}
            stepMs={isTable ? null : stepMs}
            isBuilding={search.builder === true} isOnly={queries.length === 1}
            onText={(text) => drafts.put(query, text)}
            onRun={(text) => run(query.id, text)}
            onToggle={() => put(queries.map((one) => (one === query ? toggledOff(one) : one)))}
            onRemove={() => {
              drafts.clear();
              put(queries.length === 1 ? [{ id: query.id, expr: "" }] : queries.filter((one) => one.id !== query.id));
            }}
            onRetry={() => void asked[shown.indexOf(query)]?.refetch()}
          />
        ))}
      </div>
      <div className={classes.bar} role="toolbar" aria-label={t("explore.bar")}>
        <Button variant={isChanged ? "filled" : "default"} leftSection={<Icon name="play" sizePx={12} />} onClick={() => run("")}>
          {t("explore.run")}
        </Button>
        <Button
          variant="default" leftSection={<Icon name="plus" sizePx={12} />} disabled={queries.length >= QUERIES_MAX} onClick={add}
        >
          {t("explore.add")}
        </Button>
        <Switch size="xs" label={t("explore.builder")} checked={search.builder === true} onChange={setBuilder} />
        <span className={classes.barGap} />
        <SegmentedControl
          size="xs" aria-label={t("explore.shownAs")} value={isTable ? "table" : "graph"} onChange={setTable}
          data={[{ value: "graph", label: t("explore.graph") }, { value: "table", label: t("explore.table") }]}
        />
        {!isTable && (
          <>
            <Step
              key={search.step ?? ""} step={search.step} usual={duration(usualMs * 1e6)}
              isRight={search.step === undefined || stepOf(search.step, range) !== null}
              onStep={(step) => onChange({ step })}
            />
            {queries.length > 1 && (
              <Switch
                size="xs" label={t("explore.split")} checked={search.split === true}
                onChange={() => onChange({ split: search.split === true ? undefined : true })}
              />
            )}
            <Switch
              size="xs" label={t("explore.exemplars")} checked={search.exemplars === true}
              onChange={() => onChange({ exemplars: search.exemplars === true ? undefined : true })}
            />
          </>
        )}
      </div>
      {shown.length === 0 ? (
        queries.every((one) => one.expr.trim() === "") ? (
          <Examples window={usualWindow(stepMs)} onExample={(expr) => run(queries[0]?.id ?? "A", expr)} />
        ) : (
          <Empty title={t("explore.allHidden")} icon="metrics">{t("explore.allHiddenWhat")}</Empty>
        )
      ) : isWaiting && !hasAnswer ? (
        <Loading heightPx={340} />
      ) : isTable ? (
        <>
          <p className={classes.note}>{t("explore.at", { time: dateTime(range.toMs, zone) })}</p>
          {shown.map((query, at) => {
            const answer = values[at];
            return answer === undefined ? null : (
              <InstantTable
                key={query.id} query={query} answer={answer} written={written(query)}
                isOld={instants[at]?.data === undefined} hasTitle={queries.length > 1}
              />
            );
          })}
        </>
      ) : lines.length > 0 ? (
        <>
          {exemplars.error !== null && <p className={classes.note}>{t("explore.exemplarsFailed")}</p>}
          {search.exemplars === true && exemplars.data?.length === 0 && (
            <p className={classes.note}>{t("explore.noExemplars")}</p>
          )}
          <Graph
            lines={lines} queries={shown} exemplars={search.exemplars === true ? (exemplars.data ?? []) : []}
            isOld={isWaiting} search={search} onChange={onChange}
          />
        </>
      ) : (
        hasAnswer && <Empty title={t("explore.noLines")} icon="metrics">{t("explore.noLinesWhat")}</Empty>
      )}
    </section>
  );
}

/**
 * What is typed and not asked yet. It ends when the address has another text, and not before: the
 * address is late, and an editor that is given the old text meanwhile loses its cursor.
 */
function useDrafts(queries: readonly PromQuery[]) {
  const [drafts, setDrafts] = useState<Readonly<Record<string, { of: string; text: string }>>>({});
  const isOver = ([id, draft]: [string, { of: string }]) =>
    queries.every((query) => query.id !== id || query.expr !== draft.of);
  const all = Object.entries(drafts);
  if (all.some(isOver)) setDrafts(Object.fromEntries(all.filter((one) => !isOver(one))));
  return {
    textOf: (query: PromQuery) => {
      const draft = drafts[query.id];
      return draft?.of === query.expr ? draft.text : query.expr;
    },
    clear: () => setDrafts({}),
    put: (query: PromQuery, text: string) => {
      if (queries.includes(query)) setDrafts((old) => ({ ...old, [query.id]: { of: query.expr, text } }));
    },
  };
}

function toggledOff({ id, expr, off }: PromQuery): PromQuery {
  return off === true ? { id, expr } : { id, expr, off: true };
}

/** The list as it was, as long as it holds the same. */
function useStable<Item>(list: readonly Item[]): readonly Item[] {
  const [kept, setKept] = useState(list);
  if (kept.length === list.length && list.every((one, at) => one === kept[at])) return kept;
  setKept(list);
  return list;
}

function focusEditor(): boolean {
  const found = document.querySelector<HTMLElement>(".cm-content");
  found?.focus();
  return found !== null;
}

interface StepProps {
  readonly step: string | undefined;
  readonly usual: string;
  readonly isRight: boolean;
  readonly onStep: (step: string | undefined) => void;
}

function Step({ step, usual, isRight, onStep }: StepProps) {
  const t = useT();
  return (
    <TextInput
      className={classes.step} aria-label={t("explore.step")} placeholder={t("explore.stepUsual", { step: usual })}
      defaultValue={step ?? ""} error={!isRight} title={isRight ? t("explore.step") : t("explore.stepWrong")}
      onBlur={(event) => {
        const typed = event.currentTarget.value.trim();
        if (typed !== (step ?? "")) onStep(typed === "" ? undefined : typed);
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter") event.currentTarget.blur();
      }}
    />
  );
}
