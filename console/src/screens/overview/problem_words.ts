/** A problem as a sentence in the reader's language; the server's own where we have none. */

import type { Problem } from "~/api/overview";
import { duration } from "~/format/durations";
import { percent } from "~/format/numbers";
import { dateTime, type Zone } from "~/format/times";
import type { Translate } from "~/i18n/use_t";

export function problemInWords(problem: Problem, zone: Zone, t: Translate): string {
  const values: Record<string, string | number> = { who: whoOf(problem) };
  for (const [name, value] of Object.entries(problem.args)) {
    if (typeof value === "number") values[name] = written(name, value, zone);
    else if (typeof value === "string") values[name] = value;
  }
  if (values.signal !== undefined) {
    values.signal = t.maybe(`overview.signal.${values.signal}`) ?? values.signal;
  }
  return t.maybe(`problem.${problem.code}`, values) ?? problem.message;
}

/** The end of an argument's name says what it is. */
function written(name: string, value: number, zone: Zone): string | number {
  if (name.endsWith("_ratio")) return percent(value);
  if (name === "lag_ms") return duration(value * 1e6);
  return name.endsWith("_ms") ? dateTime(value, zone) : value;
}

function whoOf(problem: Problem): string {
  const names = [problem.args.service, problem.args.node];
  const known = names.filter((one): one is string => typeof one === "string" && one !== "");
  return known.length === 0 ? "?" : known.join(" @ ");
}
