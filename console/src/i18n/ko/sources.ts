import type { sources as english } from "../en/sources";

export const sources: Record<keyof typeof english, string> = {
  "sources.title": "수집",
};
