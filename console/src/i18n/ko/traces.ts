import type { traces as english } from "../en/traces";

export const traces: Record<keyof typeof english, string> = {
  "traces.title": "트레이스",
};
