/** The server counts characters, the browser UTF-16 units. */

export function unitsBefore(text: string, characters: number): number {
  return Array.from(text).slice(0, characters).join("").length;
}
