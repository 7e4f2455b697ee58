export const runbooks = {
  "runbooks.title": "Runbooks",
  "runbooks.all": "All runbooks",
  "runbooks.count": "{n} {n|page|pages}",
  "runbooks.none": "No rule pack has pages",
  "runbooks.language.promql": "PromQL",
  "runbooks.language.sql": "SQL: trilens sql, or POST /api/sql",
  "runbooks.language.sh": "Shell",
  "runbooks.openMetrics": "Open in Metrics",
} as const;
