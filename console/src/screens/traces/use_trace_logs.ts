/** The log rows that carry a trace's id, within an hour of it. */

import { useMemo } from "react";
import { type LogRow, useLogRows } from "~/api/logs";
import type { TraceTree } from "./trace_tree";

const AROUND_MS = 3600e3;
const PAGE_ROWS = 500;

export function useTraceLogs(traceId: string, tree: TraceTree) {
  const startMs = Number(tree.startNs / 1_000_000n);
  const endMs = startMs + Math.ceil(tree.durationNs / 1e6);
  const asked = useLogRows(
    { fromMs: Math.max(0, startMs - AROUND_MS), toMs: endMs + AROUND_MS },
    { conditions: [{ field: "trace_id", op: "=", value: traceId }], order: "asc" },
    PAGE_ROWS,
  );
  const rows = useMemo(() => asked.data?.pages.flatMap((page) => page.rows) ?? [], [asked.data]);
  const logsOf = useMemo(() => {
    const bySpan = new Map<string, LogRow[]>();
    for (const row of rows) {
      const known = bySpan.get(row.span_id);
      if (known === undefined) bySpan.set(row.span_id, [row]);
      else known.push(row);
    }
    return bySpan;
  }, [rows]);
  return { asked, rows, logsOf };
}
