/** /api/console/runbooks: pages on the alerts of rule packs. */

import { type Asked, useQuestion } from "./questions";

export interface RunbookName {
  readonly name: string;
  readonly pack: string;
  readonly title: string;
}

export interface Runbook extends RunbookName {
  /** Markdown. */
  readonly text: string;
}

export function useRunbooks(): Asked<{ readonly runbooks: readonly RunbookName[] }> {
  return useQuestion("/runbooks");
}

export function useRunbook(name: string): Asked<Runbook> {
  return useQuestion(`/runbooks/${encodeURIComponent(name)}`);
}
