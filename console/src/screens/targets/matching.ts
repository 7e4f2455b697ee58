/** Which targets are looked for. */

import type { Target } from "~/api/targets";
import type { TargetsSearch } from "./search";

/** `match` is a part of the endpoint, the error or a label as name=value, whatever its case. */
export function isAmong(target: Target, { state, pool, match = "" }: TargetsSearch): boolean {
  if (state !== undefined && target.health !== state) return false;
  if (pool !== undefined && target.pool !== pool) return false;
  const part = match.trim().toLowerCase();
  if (part === "" || target.url.toLowerCase().includes(part)) return true;
  if (target.error.toLowerCase().includes(part)) return true;
  return Object.entries(target.labels).some(([name, value]) => `${name}=${value}`.toLowerCase().includes(part));
}
