/** Log rows for tests. */

import type { LogRow } from "~/api/logs";

export const row = (changed: Partial<LogRow> = {}): LogRow => ({
  id: "1-2", timestamp: "2026-03-01T12:00:00.000000001Z", observed_at: "2026-03-01T12:00:00.000000001Z",
  severity: "INFO", severity_number: 9, severity_text: "info", body: "hello", trace_id: "", span_id: "",
  attributes: {}, attribute_types: [], resource: {}, cluster: "", node: "n1", namespace: "", workload: "", pod: "",
  container: "", service: "checkout", scope_name: "", event_name: "", ...changed,
});
