/**
 * The part of the address after `?`. Every value is one text there; lists and objects are JSON.
 * A screen's search is read by these from a text (the address) or from the value itself (a link).
 * What is malformed is as if it were absent: an old link shows something instead of an error.
 */

export type Search = Record<string, unknown>;

export function parseSearch(text: string): Search {
  return Object.fromEntries(new URLSearchParams(text));
}

export function stringifySearch(search: Search): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(search)) {
    const text = textOf(value);
    if (text !== undefined) params.set(name, text);
  }
  // Spaces as + and the rest of the reserved ones escaped; these three read better as they are.
  const shown = params.toString().replaceAll("%3A", ":").replaceAll("%2C", ",").replaceAll("%2F", "/");
  return shown === "" ? "" : `?${shown}`;
}

function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return Array.isArray(value) && value.length === 0 ? undefined : JSON.stringify(value);
}

export function readText(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function readFlag(value: unknown): boolean | undefined {
  if (value === true || value === "true") return true;
  return value === false || value === "false" ? false : undefined;
}

export function readNumber(value: unknown): number | undefined {
  const number = typeof value === "string" && value !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}

export function readChoice<Choice extends string>(
  value: unknown,
  choices: readonly Choice[],
): Choice | undefined {
  return choices.find((one) => one === value);
}

/** Texts, from JSON or from a list. */
export function readTexts(value: unknown): readonly string[] | undefined {
  const items = typeof value === "string" ? parsed(value) : value;
  const texts = Array.isArray(items) ? items.filter((one): one is string => typeof one === "string") : [];
  return texts.length === 0 ? undefined : texts;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** What every address may carry: the one time range, and whether it moves with the clock. */
export interface TimeSearch {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly live?: boolean | undefined;
}

export function readTimeSearch(search: Search): TimeSearch {
  return {
    from: readText(search.from),
    to: readText(search.to),
    live: readFlag(search.live),
  };
}
