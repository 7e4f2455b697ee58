import type { runbooks as english } from "../en/runbooks";

export const runbooks: Record<keyof typeof english, string> = {
  "runbooks.title": "런북",
  "runbooks.all": "모든 런북",
  "runbooks.count": "{n}쪽",
  "runbooks.none": "런북이 있는 규칙 팩이 없습니다",
  "runbooks.language.promql": "PromQL",
  "runbooks.language.sql": "SQL: trilens sql 또는 POST /api/sql",
  "runbooks.language.sh": "셸",
  "runbooks.openMetrics": "메트릭에서 열기",
};
