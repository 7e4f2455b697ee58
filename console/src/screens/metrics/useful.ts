/** Where to begin: questions about a machine and about Trilens that most people ask first. */

import type { MetricName } from "~/api/metrics";
import type { WordKey } from "~/i18n/use_t";
import type { Condition } from "~/state/filters";
import type { MetricsSearch } from "./search";

export interface Useful {
  readonly words: WordKey;
  readonly search: MetricsSearch & { readonly metric: string };
}

const notOp = (label: string, value: string) => [{ field: `labels.${label}`, op: "!=", value }] as const;

const ALL: readonly Useful[] = [
  {
    words: "metrics.use.cpu",
    search: { metric: "node_cpu_seconds_total", fn: "rate", agg: "sum", by: ["mode"], filter: notOp("mode", "idle") },
  },
  { words: "metrics.use.load", search: { metric: "node_load1", fn: "value", agg: "none" } },
  { words: "metrics.use.memory", search: { metric: "node_memory_MemAvailable_bytes", fn: "value", agg: "none" } },
  {
    words: "metrics.use.processCpu",
    search: { metric: "namedprocess_namegroup_cpu_seconds_total", fn: "rate", agg: "sum", by: ["groupname"] },
  },
  {
    words: "metrics.use.processMemory",
    search: {
      metric: "namedprocess_namegroup_memory_bytes", fn: "value", agg: "sum", by: ["groupname"],
      filter: [{ field: "labels.memtype", op: "=", value: "resident" }],
    },
  },
  {
    words: "metrics.use.filesystem",
    search: { metric: "node_filesystem_avail_bytes", fn: "value", agg: "max", by: ["mountpoint"] },
  },
  { words: "metrics.use.written", search: { metric: "node_disk_written_bytes_total", fn: "rate", agg: "sum", by: ["device"] } },
  { words: "metrics.use.read", search: { metric: "node_disk_read_bytes_total", fn: "rate", agg: "sum", by: ["device"] } },
  {
    words: "metrics.use.received",
    search: {
      metric: "node_network_receive_bytes_total", fn: "rate", agg: "sum", by: ["device"], filter: notOp("device", "lo"),
    },
  },
  {
    words: "metrics.use.sent",
    search: {
      metric: "node_network_transmit_bytes_total", fn: "rate", agg: "sum", by: ["device"], filter: notOp("device", "lo"),
    },
  },
  {
    words: "metrics.use.pressure",
    search: { metric: "node_pressure_io_waiting_seconds_total", fn: "rate", agg: "none" },
  },
  {
    words: "metrics.use.loaded",
    search: { metric: "trilens_receive_accepted_total", fn: "rate", agg: "sum", by: ["format"] },
  },
];

/** Those whose metric there is. */
export function usefulOf(metrics: readonly MetricName[]): Useful[] {
  const known = new Set(metrics.map((one) => one.metric));
  return ALL.filter((one) => known.has(one.search.metric));
}

/** Conditions on node, service and the like hold for any metric, those on labels for one. */
export function ofAnyMetric(conditions: readonly Condition[]): Condition[] {
  return conditions.filter((one) => !one.field.startsWith("labels."));
}
