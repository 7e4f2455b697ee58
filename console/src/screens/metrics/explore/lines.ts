/** The lines of all queries: what each is called, its colour, how its values are written. */

import type { RangeAnswer } from "~/api/prometheus";
import type { Point } from "~/api/metrics";
import { lineColor, lineDash } from "~/charts/palette";
import type { Hidden } from "~/charts/visibility";
import type { Scheme } from "~/theme";
import { labelsText, seriesId, seriesName, summaryOf, type Summary, tellingLabels } from "../series";
import type { Written } from "./meaning";
import type { PromQuery } from "./queries";

export interface PromLine {
  /** Short, for the address: it stays the same as long as query and labels do. */
  readonly id: string;
  readonly queryId: string;
  readonly name: string;
  readonly text: string;
  readonly color: string;
  readonly dash: number[];
  readonly points: readonly Point[];
  readonly summary: Summary;
  readonly labels: Readonly<Record<string, string>>;
  readonly written: Written;
}

export interface Drawn {
  readonly query: PromQuery;
  readonly answer: RangeAnswer;
  readonly written: Written;
}

export function linesOf(drawn: readonly Drawn[], scheme: Scheme): PromLine[] {
  const lines: PromLine[] = [];
  for (const { query, answer, written } of drawn) {
    const telling = tellingLabels(answer.series);
    const isNamed = telling.length > 0;
    for (const series of answer.series) {
      const at = lines.length;
      const { __name__: metric = "", ...labels } = series.labels;
      const text = `${metric}${Object.keys(labels).length === 0 ? "" : labelsText(labels)}`;
      lines.push({
        id: shortId(`${query.id} ${seriesId(series.labels)}`),
        queryId: query.id,
        name: isNamed ? seriesName(series.labels, telling, query.expr) : text === "" ? query.expr : text,
        text: text === "" ? query.expr : text,
        color: lineColor(scheme, at),
        dash: lineDash(at),
        points: series.points,
        summary: summaryOf(series.points),
        labels: series.labels,
        written,
      });
    }
  }
  return lines;
}

/** FNV-1a. */
export function shortId(text: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 16777619);
  return (hash >>> 0).toString(36);
}

interface Shown {
  readonly only?: readonly string[] | undefined;
  readonly hide?: readonly string[] | undefined;
}

export function hiddenOf(ids: readonly string[], { only, hide }: Shown): Hidden {
  // Lines that have gone hide nothing: then all are shown.
  const known = only?.filter((id) => ids.includes(id)) ?? [];
  if (known.length > 0) return new Set(ids.filter((id) => !known.includes(id)));
  return new Set(hide?.filter((id) => ids.includes(id)));
}

/** The shorter of the two lists. */
export function shownOf(ids: readonly string[], hidden: Hidden): Shown {
  if (hidden.size === 0) return { only: undefined, hide: undefined };
  const shown = ids.filter((id) => !hidden.has(id));
  return shown.length < hidden.size ? { only: shown, hide: undefined } : { only: undefined, hide: [...hidden] };
}
