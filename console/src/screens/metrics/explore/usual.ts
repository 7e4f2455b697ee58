/** The query that a metric is best asked by, and the one that says what the picker was asked. */

import type { MetricName } from "~/api/metrics";
import type { Condition } from "~/state/filters";
import { type Asking, defaultAsking, natureOf } from "../asking";
import { type Built, type LabelMatch, NOTHING_BUILT, printBuilt } from "./built";

export function usualExpr(metric: MetricName, window: string): string {
  const nature = natureOf(metric);
  if (nature === "distribution") {
    // Of one whole histogram a point; its quantile is a number.
    const inner = printBuilt({ ...NOTHING_BUILT, metric: metric.metric, fn: "rate", window, agg: "sum" });
    return `histogram_quantile(0.95, ${inner})`;
  }
  return exprOf(metric.metric, defaultAsking(metric), [], window);
}

const OPS: Partial<Record<Condition["op"], LabelMatch["op"]>> = {
  "=": "=", "!=": "!=", contains: "=~", not_contains: "!~", in: "=~", exists: "!=", not_exists: "=",
};

export function exprOf(metric: string, asking: Asking, conditions: readonly Condition[], window: string): string {
  const built: Built = {
    ...NOTHING_BUILT,
    metric,
    window,
    matchers: conditions.flatMap(matchOf),
    fn: asking.fn === "value" ? "" : asking.fn,
    agg: asking.agg === "none" ? "" : asking.agg,
    by: asking.by,
  };
  return printBuilt(built);
}

function matchOf(condition: Condition): LabelMatch[] {
  const op = OPS[condition.op];
  if (op === undefined) return [];
  const label = condition.field.replace(/^labels\./, "");
  const values = typeof condition.value === "string" ? [condition.value] : (condition.value ?? [""]);
  if (condition.op === "in") return [{ label, op, value: values.map(escaped).join("|") }];
  const value = values[0] ?? "";
  return [{ label, op, value: op === "=~" || op === "!~" ? `.*${escaped(value)}.*` : value }];
}

const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
