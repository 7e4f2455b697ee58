/** What is wrong with a question, and where in the search. The server counts characters, not UTF-16 units. */

import type { ApiError } from "~/api/client";

/** Asked again it fails again, whatever asks it: the list tells it once, for all of the screen. */
export function isOfQuestion(error: ApiError | null): error is ApiError {
  return error !== null && (error.code === "malformed" || error.code === "too_large");
}

export interface Cut {
  readonly before: string;
  readonly wrong: string;
  readonly after: string;
}

export function cutAt(query: string, position: number): Cut {
  const signs = Array.from(query);
  const rest = signs.slice(position).join("");
  // The term that begins there; one sign where none does; nothing at the end.
  const wrong = /^(?:[^\s()]+|[()]|\s)/.exec(rest)?.[0] ?? "";
  return { before: signs.slice(0, position).join(""), wrong, after: rest.slice(wrong.length) };
}
