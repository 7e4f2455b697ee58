/** The beginning of a body in the list: styles of the terminal, marks of what was found. */

import { memo, useMemo } from "react";
import { pieces, type Style } from "./ansi";
import { marked } from "./highlight";
import classes from "./logs.module.css";

interface Props {
  readonly text: string;
  readonly found: RegExp | null;
}

export function StyledText({ text, found }: Props) {
  const shown = useMemo(() => pieces(text), [text]);
  return shown.map((piece, at) => (
    <span key={at} className={classOf(piece)} data-color={piece.color}>
      {marked(piece.text, found).map((mark, part) =>
        mark.isFound ? <mark key={part} className={classes.found}>{mark.text}</mark> : mark.text,
      )}
    </span>
  ));
}

function classOf(style: Style): string | undefined {
  const names = [
    style.color !== undefined && classes.ansi,
    style.isBold === true && classes.bold,
    style.isFaint === true && classes.faint,
    style.isItalic === true && classes.italic,
    style.isUnderlined === true && classes.underlined,
  ].filter((name) => name !== false);
  return names.length === 0 ? undefined : names.join(" ");
}

const ONE_LINE_MAX = 600;
const WRAPPED_MAX = 4000;
const WRAPPED_LINES_MAX = 30;

interface BodyProps extends Props {
  readonly isWrapped: boolean;
}

export const RowBody = memo(function RowBody({ text, found, isWrapped }: BodyProps) {
  const cut = isWrapped ? wrapped(text) : oneLine(text);
  return (
    <>
      <StyledText text={cut} found={found} />
      {cut.length < text.length && isWrapped && <span className="muted"> …</span>}
    </>
  );
});

/** A line feed is a sign here, and what is far out of sight is not drawn. */
export function oneLine(text: string): string {
  return text.slice(0, ONE_LINE_MAX).replace(/\s*\r?\n\s*/g, " ↵ ").replaceAll("\t", " ");
}

export function wrapped(text: string): string {
  const cut = text.slice(0, WRAPPED_MAX);
  const lines = cut.split("\n", WRAPPED_LINES_MAX + 1);
  return lines.length > WRAPPED_LINES_MAX ? lines.slice(0, WRAPPED_LINES_MAX).join("\n") : cut;
}
