import type { metrics as english } from "../en/metrics";

export const metrics: Record<keyof typeof english, string> = {
  "metrics.title": "메트릭",
};
