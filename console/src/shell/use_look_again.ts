/** Asks everything on the screen again: by a new moment where the range moves with it, else as it is. */

import { useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { useMoment } from "~/state/moment";
import { isRelative } from "~/state/time_range";
import { useTimeRange } from "~/state/use_time_range";

export function useLookAgain(): () => void {
  const client = useQueryClient();
  const { move } = useMoment();
  const { text } = useTimeRange();
  const isMoving = isRelative(text);
  return useCallback(() => {
    move();
    // A new moment is a new question already for what has a range.
    void client.invalidateQueries({ predicate: (query) => !(isMoving && hasRange(query.queryKey[1])) });
  }, [client, move, isMoving]);
}

function hasRange(parameters: unknown): boolean {
  return typeof parameters === "object" && parameters !== null && "from_ms" in parameters;
}
