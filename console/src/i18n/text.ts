/**
 * Sentences with places: `{name}` takes a value, `{n|row|rows}` a word by the number n (the first
 * for exactly 1). The names are told from the English text by the type system.
 */

export type PlacesOf<Text extends string> = Text extends `${string}{${infer Inside}}${infer Rest}`
  ? (Inside extends `${infer Name}|${string}` ? Name : Inside) | PlacesOf<Rest>
  : never;

export type Values = Readonly<Record<string, string | number>>;

const PLACE = /\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g;

/** A value that is missing leaves its place as it stands, so that it is seen. */
export function filled(text: string, values: Values): string {
  return text.replace(PLACE, (place: string, name: string, one?: string, many?: string) => {
    const value = values[name];
    if (value === undefined) return place;
    return one === undefined || many === undefined ? String(value) : value === 1 ? one : many;
  });
}

export function placesOf(text: string): string[] {
  return [...new Set([...text.matchAll(PLACE)].map((match) => match[1] ?? ""))].sort();
}
