/** A sentence with `names of things` in it, which are set as code. */

import { Code } from "@mantine/core";

export function Prose({ text }: { readonly text: string }) {
  return (
    <span>{text.split("`").map((part, at) => (at % 2 === 1 ? <Code key={at}>{part}</Code> : part))}</span>
  );
}
