import type { logs as english } from "../en/logs";

export const logs: Record<keyof typeof english, string> = {
  "logs.title": "로그",
};
