/** A time range in words: Last 1 hour, or its two instants, the day of the second only if it differs. */

import { dateTime, type Zone } from "~/format/times";
import type { Translate, WordKey } from "~/i18n/use_t";
import { presetOf, type TimeRange, type TimeText } from "~/state/time_range";

const UNIT_WORDS: Readonly<Record<string, WordKey>> = {
  s: "time.s", m: "time.m", h: "time.h", d: "time.d", w: "time.w",
};

/** `15m` as 15 minutes. */
export function amountInWords(preset: string, t: Translate): string {
  const match = /^(\d+)([smhdw])$/.exec(preset);
  const key = UNIT_WORDS[match?.[2] ?? ""];
  return match === null || key === undefined ? preset : (t.maybe(key, { n: Number(match[1]) }) ?? preset);
}

export function rangeInWords(text: TimeText, range: TimeRange, zone: Zone, t: Translate): string {
  const preset = presetOf(text);
  if (preset !== null) return t("time.last", { amount: amountInWords(preset, t) });
  return instants(range, zone);
}

export function instants(range: TimeRange, zone: Zone): string {
  const from = short(dateTime(range.fromMs, zone));
  const to = short(dateTime(range.toMs, zone));
  return `${from} – ${from.slice(0, 10) === to.slice(0, 10) ? to.slice(11) : to}`;
}

/** Seconds only where they say something. */
function short(text: string): string {
  return text.endsWith(":00") ? text.slice(0, -3) : text;
}

/** How long ago, in its largest unit: `5 minutes ago`. */
export function ago(atMs: number, nowMs: number, t: Translate): string {
  const seconds = Math.round((nowMs - atMs) / 1000);
  if (seconds < 5) return t("ago.now");
  const [n, unit] =
    seconds < 60 ? [seconds, "s"]
    : seconds < 3600 ? [Math.floor(seconds / 60), "m"]
    : seconds < 172_800 ? [Math.floor(seconds / 3600), "h"]
    : [Math.floor(seconds / 86_400), "d"];
  return t("ago.before", { amount: amountInWords(`${n}${unit}`, t) });
}
