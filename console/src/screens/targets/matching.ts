/** Which targets are looked for. */

import type { Target } from "~/api/targets";
import type { TargetsSearch } from "./search";

/** `match` is words, each in the endpoint, the error or a label as name=value, whatever its case. */
export function isAmong(target: Target, { state, pool, match = "" }: TargetsSearch): boolean {
  if (state !== undefined && target.health !== state) return false;
  if (pool !== undefined && target.pool !== pool) return false;
  const words = match.toLowerCase().split(/\s+/).filter((one) => one !== "");
  if (words.length === 0) return true;
  const labels = Object.entries(target.labels).map(([name, value]) => `${name}=${value}`);
  const text = [target.url, target.error, ...labels].join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}
