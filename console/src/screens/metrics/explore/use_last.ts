/** Answers to queries that are asked anew whenever the range moves. */

import type { UseQueryResult } from "@tanstack/react-query";
import { useState } from "react";
import type { ApiError } from "~/api/client";
import type { PromQuery } from "./queries";

/** Until the next answer is there, the last one of the same letter; a refused question leaves none. */
export function useLast<Answer>(
  queries: readonly PromQuery[],
  asked: readonly UseQueryResult<Answer, ApiError>[],
): readonly (Answer | undefined)[] {
  const [last, setLast] = useState<ReadonlyMap<string, Answer>>(new Map());
  const fresh = queries.flatMap(({ id }, at): [string, Answer][] => {
    const data = asked[at]?.data;
    return data === undefined || data === last.get(id) ? [] : [[id, data]];
  });
  if (fresh.length > 0) setLast(new Map([...last, ...fresh]));
  return queries.map(({ id }, at) => {
    const one = asked[at];
    return one?.data ?? (one?.error == null && one?.isFetching === true ? last.get(id) : undefined);
  });
}
