/** Which machine needs a look first. */

import type { Host } from "~/api/overview";

/** The fullest of processors, memory and disks; a name decides between equals. */
export function byFullness(hosts: readonly Host[]): Host[] {
  return hosts.toSorted((a, b) => fullness(b) - fullness(a) || (a.node < b.node ? -1 : 1));
}

function fullness(host: Host): number {
  return Math.max(host.cpu_used_ratio ?? 0, host.memory_used_ratio ?? 0, host.disk_used_ratio_max ?? 0);
}
