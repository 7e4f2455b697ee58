export const sources = {
  "sources.title": "Sources",
} as const;
