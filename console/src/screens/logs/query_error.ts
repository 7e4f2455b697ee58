/** Where in the search the mistake is. The server counts characters, not UTF-16 units. */

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
