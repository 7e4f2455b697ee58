/** One query: its letter, its text, what can be done with it, and what the server said of it. */

import { ActionIcon, Tooltip } from "@mantine/core";
import { useState } from "react";
import { ApiError } from "~/api/client";
import { askPrometheus, LINES_MAX, noteOf, type QueryCost, ROWS_MAX } from "~/api/prometheus";
import { duration } from "~/format/durations";
import { count, exact } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { Icon, type IconName } from "~/parts/icon";
import { ErrorNote } from "~/parts/states";
import { cutAt } from "~/screens/logs/query_error";
import { useTimeRange } from "~/state/use_time_range";
import { Builder } from "./builder";
import { Editor } from "./editor";
import classes from "./explore.module.css";
import type { PromQuery } from "./queries";
import { Statements } from "./statements";

export interface Said {
  readonly error: ApiError | null;
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
  readonly cost: QueryCost | null;
  readonly isWaiting: boolean;
  /** Series that are no lines. */
  readonly histograms: number;
}

interface Props {
  readonly query: PromQuery;
  /** As it is being typed. */
  readonly text: string;
  readonly said: Said;
  readonly window: string;
  /** None where values of one moment are shown. */
  readonly stepMs: number | null;
  readonly isBuilding: boolean;
  readonly isOnly: boolean;
  readonly onText: (text: string) => void;
  readonly onRun: (text?: string) => void;
  readonly onToggle: () => void;
  readonly onRemove: () => void;
  readonly onRetry: () => void;
}

export function QueryRow(props: Props) {
  const { query, text, said, onText, onRun } = props;
  const t = useT();
  const { range } = useTimeRange();
  const [cursor, setCursor] = useState<{ position: number; asked: number } | null>(null);
  const goTo = (position: number) => setCursor((old) => ({ position, asked: (old?.asked ?? 0) + 1 }));
  const [isSqlShown, setSqlShown] = useState(false);
  const shownMax = props.stepMs === null ? ROWS_MAX : LINES_MAX;
  const isHidden = query.off === true;
  const pretty = () => {
    askPrometheus<string>("/format_query", { query: text }).then(
      ({ data }) => onText(data),
      // What is wrong with it is said when it is run.
      () => onRun(),
    );
  };
  return (
    <section className={classes.query} aria-label={t("explore.query", { id: query.id })} data-hidden={isHidden || undefined}>
      <div className={classes.queryLine}>
        <Tooltip label={t(isHidden ? "explore.showQuery" : "explore.hideQuery", { id: query.id })}>
          <button
            type="button" className={classes.letter} aria-pressed={!isHidden} onClick={props.onToggle}
            aria-label={t(isHidden ? "explore.showQuery" : "explore.hideQuery", { id: query.id })}
          >
            {query.id}
          </button>
        </Tooltip>
        <Editor
          text={text} label={t("explore.query", { id: query.id })} hint={t("explore.hint")} isWrong={said.error !== null}
          isNew={!props.isOnly && text === ""} range={range} cursor={cursor} onText={onText} onRun={() => onRun()}
        />
        <span className={classes.queryActions}>
          <Action icon="list" label={t("explore.format", { id: query.id })} isOff={text.trim() === ""} onClick={pretty} />
          <Action
            icon="trash" label={t("explore.remove", { id: query.id })} isOff={props.isOnly && text === ""}
            onClick={props.onRemove}
          />
        </span>
      </div>
      {props.isBuilding && <Builder text={text} window={props.window} onText={onRun} />}
      {said.error !== null && (
        <Wrong text={query.expr} error={said.error} onPlace={goTo} onRetry={props.onRetry} />
      )}
      <Notes notes={said.warnings} query={query.expr} icon="warning" shownMax={shownMax} onPlace={goTo} />
      <Notes notes={said.infos} query={query.expr} icon="info" shownMax={shownMax} onPlace={goTo} />
      {said.histograms > 0 && <p className={classes.note}>{t("explore.histograms", { n: said.histograms })}</p>}
      {said.error === null && query.expr.trim() !== "" && !isHidden && (
        <div className={classes.costLine}>
          {said.cost !== null && (
            <>
              <Cost cost={said.cost} isWaiting={said.isWaiting} />
              <button
                type="button" className={classes.place} aria-expanded={isSqlShown}
                aria-label={t("explore.sql", { id: query.id })} onClick={() => setSqlShown(!isSqlShown)}
              >
                SQL
              </button>
            </>
          )}
        </div>
      )}
      {said.error === null && isSqlShown && <Statements expr={query.expr} stepMs={props.stepMs} />}
    </section>
  );
}

interface ActionProps {
  readonly icon: IconName;
  readonly label: string;
  readonly isOff: boolean;
  readonly onClick: () => void;
}

function Action({ icon, label, isOff, onClick }: ActionProps) {
  return (
    <Tooltip label={label}>
      <ActionIcon aria-label={label} disabled={isOff} onClick={onClick}>
        <Icon name={icon} sizePx={14} />
      </ActionIcon>
    </Tooltip>
  );
}

interface WrongProps {
  readonly text: string;
  readonly error: ApiError;
  readonly onPlace: (position: number) => void;
  readonly onRetry: () => void;
}

/** The query with the mistake marked where the server found it; without a place, the sentence alone. */
function Wrong({ text, error, onPlace, onRetry }: WrongProps) {
  const t = useT();
  const { position } = error;
  if (position === null) return <ErrorNote error={error} onRetry={onRetry} />;
  const { before, wrong, after } = cutAt(text, position);
  return (
    <div className={classes.mistake} role="alert">
      <button type="button" className={classes.mistakeText} onClick={() => onPlace(position)}>
        <span>{before}</span>
        <span className={classes.mistakeHere} data-testid="mistake">{wrong === "" ? "\u00a0" : wrong}</span>
        <span>{after}</span>
      </button>
      <span>{`${t("error.at", { position: position + 1 })}: ${error.message}`}</span>
    </div>
  );
}

interface NotesProps {
  readonly notes: readonly string[];
  readonly query: string;
  readonly icon: "warning" | "info";
  /** Series of an answer; the server leaves others out, and says so. */
  readonly shownMax: number;
  readonly onPlace: (position: number) => void;
}

const PREFIX = /^PromQL (?:info|warning): /;

function Notes({ notes, query, icon, shownMax, onPlace }: NotesProps) {
  const t = useT();
  if (notes.length === 0) return null;
  return (
    <ul className={classes.notes} data-kind={icon} aria-label={t(icon === "info" ? "explore.infos" : "explore.warnings")}>
      {notes.map((note) => {
        const { text, position } = noteOf(note, query);
        const words = text.replace(PREFIX, "");
        return (
          <li key={note}>
            <Icon name={icon} sizePx={13} />
            <span>{words === "results truncated due to limit" ? t("explore.cut", { n: shownMax }) : words}</span>
            {position !== null && (
              <button type="button" className={classes.place} onClick={() => onPlace(position)}>
                {t("error.at", { position: position + 1 })}
              </button>
            )}
          </li>
        );
      })}
    </ul>
  );
}

function Cost({ cost, isWaiting }: { readonly cost: QueryCost; readonly isWaiting: boolean }) {
  const t = useT();
  const parts = [
    t("explore.series", { n: cost.series }),
    ...(cost.samples === null ? [] : [t("explore.samples", { n: cost.samples, shown: count(cost.samples) })]),
    duration((cost.evaluationS ?? cost.tookMs / 1000) * 1e9),
  ];
  const title = [
    t("explore.took", { took: duration(cost.tookMs * 1e6) }),
    ...(cost.samples === null ? [] : [t("explore.samplesRead", { n: exact(cost.samples) })]),
  ].join("\n");
  return (
    <p className={classes.cost} title={title} data-old={isWaiting || undefined}>
      {parts.join(" · ")}
    </p>
  );
}
