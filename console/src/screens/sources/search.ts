/** What the address of Sources holds besides the time range. */

import type { Signal } from "~/api/overview";
import { readChoice, readText, type Search } from "~/state/search";

export interface SourcesSearch {
  /** Only senders of this signal. */
  readonly signal?: Signal | undefined;
  /** Only senders whose service or node has this text in it. */
  readonly match?: string | undefined;
  /** Id of the dead letter whose details are shown. */
  readonly letter?: string | undefined;
}

export function readSourcesSearch(search: Search): SourcesSearch {
  return {
    signal: readChoice(search.signal, ["logs", "spans", "samples"]),
    match: readText(search.match),
    letter: readText(search.letter),
  };
}
