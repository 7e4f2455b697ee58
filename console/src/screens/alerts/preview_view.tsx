/** "Would have fired": a rule, or a text that is to become one, run over the range by the engine of alerts. */

import { Button, TextInput } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useMemo, useState } from "react";
import { type Preview, type PreviewedAlert, usePreview, type PreviewWanted, useRule, useValues, type WholeRule } from "~/api/alerts";
import type { ApiError } from "~/api/client";
import { duration } from "~/format/durations";
import { exact } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { FailureText } from "~/parts/failure_text";
import { Icon } from "~/parts/icon";
import { Panel } from "~/parts/panel";
import { StatTile } from "~/parts/stat_tile";
import { Answered, Empty, ErrorNote, Loading } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { Editor } from "~/screens/metrics/explore/editor";
import { labelsText } from "~/screens/metrics/series";
import type { TimeRange } from "~/state/time_range";
import { useTimeRange } from "~/state/use_time_range";
import classes from "./alerts.module.css";
import type { Change } from "./alerts_screen";
import { tellingOf } from "./grouping";
import { labelsLine, labelsOf, lengthOf, lengthText } from "./lengths";
import { TellingLabels } from "./marks";
import type { AlertsSearch } from "./search";
import { StateBands } from "./state_bands";
import { ValuesCharts } from "./values_charts";

interface Props {
  readonly search: AlertsSearch;
  readonly onChange: Change;
}

export function PreviewView({ search, onChange }: Props) {
  const t = useT();
  const rule = useRule(search.rule ?? "");
  if (search.rule !== undefined && rule.data === undefined) {
    return (
      <div className={classes.preview}>
        {rule.error === null ? <Loading heightPx={220} /> : (
          <>
            <ErrorNote error={rule.error} />
            <Button variant="default" onClick={() => onChange({ rule: undefined })}>{t("alerts.withoutRule")}</Button>
          </>
        )}
      </div>
    );
  }
  // The fields begin anew with another rule.
  return <Asking key={search.rule ?? ""} search={search} onChange={onChange} whole={rule.data} />;
}

interface Fields {
  readonly q: string;
  readonly for: string;
  readonly keep: string;
  readonly every: string;
  readonly labels: string;
}

function fieldsOf(search: AlertsSearch, whole: WholeRule | undefined): Fields {
  const rule = whole?.rule;
  return {
    q: search.q ?? rule?.query ?? "",
    for: search.for ?? lengthText(rule?.for_ms ?? 300e3),
    keep: search.keep ?? lengthText(rule?.keep_firing_for_ms ?? 0),
    every: search.every ?? lengthText(whole?.group.interval_ms ?? 60e3),
    labels: search.labels ?? labelsLine(rule?.labels ?? {}),
  };
}

/** What is not as the rule has it; the address says only that. */
function changesOf(fields: Fields, whole: WholeRule | undefined): Partial<AlertsSearch> {
  const usual = fieldsOf({}, whole);
  const differing = (name: keyof Fields) => (fields[name].trim() === usual[name].trim() ? undefined : fields[name]);
  return {
    q: differing("q"), for: differing("for"), keep: differing("keep"), every: differing("every"),
    labels: differing("labels"),
  };
}

function wantedOf(fields: Fields, whole: WholeRule | undefined): PreviewWanted {
  const changed = changesOf(fields, whole);
  return {
    rule: whole?.rule.id,
    query: whole === undefined ? fields.q : changed.q,
    forMs: lengthOf(fields.for) ?? 0,
    keepFiringForMs: lengthOf(fields.keep) ?? 0,
    intervalMs: lengthOf(fields.every) ?? undefined,
    // Those of the rule may be templates with commas in them: they are sent only when changed.
    labels: changed.labels === undefined && whole !== undefined ? undefined : (labelsOf(fields.labels) ?? undefined),
  };
}

function Asking({ search, onChange, whole }: Props & { readonly whole: WholeRule | undefined }) {
  const t = useT();
  const control = useTimeRange();
  const [fields, setFields] = useState(() => fieldsOf(search, whole));
  const isAskedFirst = whole !== undefined || (search.q ?? "") !== "";
  const [asked, setAsked] = useState(() =>
    isAskedFirst ? { wanted: wantedOf(fields, whole), range: control.range, text: rangeKey(control) } : null);
  const put = (name: keyof Fields) => (text: string) => setFields((old) => ({ ...old, [name]: text }));
  const isRight = lengthOf(fields.for) !== null && lengthOf(fields.keep) !== null
    && (lengthOf(fields.every) ?? 0) > 0 && labelsOf(fields.labels) !== null;
  const run = () => {
    if (!isRight || (fields.q.trim() === "" && whole === undefined)) return;
    onChange(changesOf(fields, whole), true);
    setAsked({ wanted: wantedOf(fields, whole), range: control.range, text: rangeKey(control) });
  };
  // Another range was chosen: it is asked again. That the clock goes on is no other range.
  if (asked !== null && asked.text !== rangeKey(control)) {
    setAsked({ ...asked, range: control.range, text: rangeKey(control) });
  }
  return (
    <div className={classes.preview}>
      <Panel
        title={t("alerts.previewTitle")}
        note={whole === undefined ? t("alerts.previewNote") : t("alerts.previewOf", { rule: whole.rule.name })}
        actions={whole !== undefined && (
          <>
            <Link to="/alerts" search={{ view: "rules", rule: whole.rule.id }}>{t("alerts.toRule")}</Link>
            <button type="button" className={classes.linkButton} onClick={() => {
              onChange({ rule: undefined, ...fields });
            }}>
              {t("alerts.withoutRule")}
            </button>
          </>
        )}
      >
        <div className={classes.previewForm}>
          <Editor
            text={fields.q} label={t("alerts.expression")} hint={t("alerts.previewHint")} isWrong={false} isNew={false}
            range={control.range} cursor={null} onText={put("q")} onRun={run}
          />
          <div className={classes.formLine}>
            <Length label="for" value={fields.for} onChange={put("for")} onRun={run} />
            <Length label="keep_firing_for" value={fields.keep} onChange={put("keep")} onRun={run} />
            <Length label={t("alerts.interval")} value={fields.every} onChange={put("every")} onRun={run} isNeeded />
            <TextInput
              className={classes.labelsInput} label={t("alerts.labels")} value={fields.labels} placeholder="severity=page"
              error={labelsOf(fields.labels) === null} onChange={(event) => put("labels")(event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === "Enter") run();
              }}
            />
            <Button className={classes.runButton} disabled={!isRight} leftSection={<Icon name="play" sizePx={13} />} onClick={run}>
              {t("alerts.run")}
            </Button>
          </div>
        </div>
      </Panel>
      {asked === null ? (
        <Empty title={t("alerts.previewBegin")} icon="clock">{t("alerts.previewBeginWhat")}</Empty>
      ) : (
        <Found wanted={asked.wanted} range={asked.range} onStop={() => setAsked(null)} />
      )}
    </div>
  );
}

function rangeKey(control: { readonly text: { readonly from: string; readonly to: string } }): string {
  return `${control.text.from} ${control.text.to}`;
}

interface LengthProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (text: string) => void;
  readonly onRun: () => void;
  readonly isNeeded?: boolean;
}

function Length({ label, value, onChange, onRun, isNeeded = false }: LengthProps) {
  const ms = lengthOf(value);
  return (
    <TextInput
      className={classes.lengthInput} label={label} value={value} placeholder="5m"
      error={ms === null || (isNeeded && (ms ?? 0) === 0)}
      onChange={(event) => onChange(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter") onRun();
      }}
    />
  );
}

interface FoundProps {
  readonly wanted: PreviewWanted;
  readonly range: TimeRange;
  /** Nobody waits any more: the server stops too. */
  readonly onStop: () => void;
}

function Found({ wanted, range, onStop }: FoundProps) {
  const t = useT();
  const asked = usePreview(range, wanted);
  const values = useValues(range, wanted.query === undefined ? { rule: wanted.rule } : { query: wanted.query });
  return (
    <Answered asked={asked} loading={<Running onStop={onStop} />}>
      {(answer) => (
        <>
          <Tiles answer={answer} />
          {answer.failures > 0 && <Failures answer={answer} />}
          <Panel
            title={t("alerts.states")} isFlush={false}
            note={t("alerts.evaluations", { n: exact(answer.evaluations), every: lengthText(answer.interval_ms) })}
          >
            {answer.total === 0 ? (
              <Empty title={t("alerts.neverActive")} icon="check">{t("alerts.neverActiveWhat")}</Empty>
            ) : (
              <StateBands label={t("alerts.states")} rows={answer.alerts} range={range} isOld={asked.isPlaceholderData} />
            )}
            {answer.total > answer.alerts.length && (
              <p className={classes.note}>
                {t("alerts.notAll", { shown: exact(answer.alerts.length), total: exact(answer.total) })}
              </p>
            )}
          </Panel>
          <Panel title={t("alerts.values")}>
            <Quietly error={values.error} isWaiting={values.data === undefined}>
              {values.data !== undefined && <ValuesCharts values={values.data} isOld={values.isPlaceholderData} />}
            </Quietly>
          </Panel>
          {answer.total > 0 && <ByAlert alerts={answer.alerts} />}
        </>
      )}
    </Answered>
  );
}

function Running({ onStop }: { readonly onStop: () => void }) {
  const t = useT();
  return (
    <>
      <p className={classes.note}>
        <span role="status">{t("alerts.running")}</span>
        <Button variant="default" size="compact-xs" onClick={onStop}>{t("alerts.stop")}</Button>
      </p>
      <Loading heightPx={84} />
      <Loading heightPx={160} />
    </>
  );
}

interface QuietlyProps {
  readonly error: ApiError | null;
  readonly isWaiting: boolean;
  readonly children: ReactNode;
}

function Quietly({ error, isWaiting, children }: QuietlyProps) {
  if (error !== null) return <ErrorNote error={error} />;
  return isWaiting ? <Loading heightPx={150} /> : children;
}

function Tiles({ answer }: { readonly answer: Preview }) {
  const t = useT();
  return (
    <div className={classes.tiles}>
      <StatTile
        label={t("alerts.tileFired")} value={exact(answer.total_firing)} tone={answer.total_firing > 0 ? "error" : "good"}
        note={t("alerts.tileFiredNote", { n: exact(answer.total - answer.total_firing) })}
      />
      <StatTile
        label={t("alerts.tileNotices")} value={exact(answer.notifications)}
        note={<span title={t("alerts.tileNoticesLong")}>{t("alerts.tileNoticesNote", { n: exact(answer.notification_moments) })}</span>}
      />
      <StatTile label={t("alerts.tileLongest")} value={answer.longest_ms === 0 ? "–" : duration(answer.longest_ms * 1e6)} />
      <StatTile
        label={t("alerts.tileFlapping")} value={exact(answer.flapping)} tone={answer.flapping > 0 ? "warning" : "normal"}
        note={t("alerts.tileFlappingNote")}
      />
    </div>
  );
}

function Failures({ answer }: { readonly answer: Preview }) {
  const t = useT();
  return (
    <FailureText
      label={t("alerts.lastError")}
      text={`${t("alerts.failures", { n: exact(answer.failures), of: exact(answer.evaluations) })}\n${answer.error}`}
    />
  );
}

function ByAlert({ alerts }: { readonly alerts: readonly PreviewedAlert[] }) {
  const t = useT();
  const telling = useMemo(() => tellingOf(alerts.map((one) => one.labels)), [alerts]);
  const columns = useMemo<Column<PreviewedAlert>[]>(() => [
    {
      id: "labels", label: t("alerts.labels"), width: "minmax(18rem, 4fr)",
      cell: (row) => <TellingLabels labels={row.labels} telling={telling} />,
    },
    {
      id: "fired", label: t("alerts.fired"), width: "100px", isNumber: true, sortBy: (row) => row.fired,
      cell: (row) => exact(row.fired),
    },
    {
      id: "firing", label: t("alerts.firingFor"), width: "116px", isNumber: true, sortBy: (row) => row.firing_ms,
      cell: (row) => (row.firing_ms === 0 ? "–" : duration(row.firing_ms * 1e6)),
    },
    {
      id: "longest", label: t("alerts.longest"), width: "116px", isNumber: true, sortBy: (row) => row.longest_ms,
      cell: (row) => (row.longest_ms === 0 ? "–" : duration(row.longest_ms * 1e6)),
    },
    {
      id: "flaps", label: t("alerts.flaps"), width: "96px", isNumber: true, sortBy: (row) => row.flaps,
      cell: (row) => exact(row.flaps),
    },
  ], [t, telling]);
  return (
    <Panel title={t("alerts.byAlert")} isFlush>
      <TableView label={t("alerts.byAlert")} columns={columns} rows={alerts} rowKey={(row) => labelsText(row.labels)} rowsMax={12} />
    </Panel>
  );
}
