/** A text field for PromQL: coloured, completed from what is stored, checked by the server's own parser. */

import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionStatus } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, linter } from "@codemirror/lint";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { useEffect, useLayoutEffect, useRef } from "react";
import { ApiError } from "~/api/client";
import { askPrometheus } from "~/api/prometheus";
import type { TimeRange } from "~/state/time_range";
import { unitsBefore } from "./places";
import classes from "./explore.module.css";

interface Props {
  readonly text: string;
  readonly label: string;
  readonly hint: string;
  readonly isWrong: boolean;
  /** It was just added: whoever added it wants to type. */
  readonly isNew: boolean;
  /** What is offered has samples in it. */
  readonly range: TimeRange;
  /** Where the cursor is put, in characters, each time that `asked` grows. */
  readonly cursor: { readonly position: number; readonly asked: number } | null;
  readonly onText: (text: string) => void;
  readonly onRun: () => void;
}

/** How long names that were asked for are offered again. */
const OFFERED_MS = 60e3;
const CHECK_PAUSE_MS = 500;

export function Editor({ text, label, hint, isWrong, isNew, range, cursor, onText, onRun }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const now = useRef({ text, isNew, range, onText, onRun });
  // What was written here and has not come back as `text` yet: it may come back late, when more is written.
  const told = useRef<string[]>([]);
  const isTold = useRef(false);
  useLayoutEffect(() => {
    now.current = { text, isNew, range, onText, onRun };
  });

  useEffect(() => {
    if (place.current === null) return undefined;
    const promql = new PromQLExtension()
      .setComplete({
        remote: {
          url: "",
          cache: { maxAge: OFFERED_MS },
          fetchFn: (input, init) => askedWithin(now.current.range, input, init),
        },
      })
      .activateLinter(false);
    const made = new EditorView({
      parent: place.current,
      state: EditorState.create({
        doc: now.current.text,
        extensions: [
          Prec.high(keymap.of([{ key: "Mod-Enter", run: () => run(now.current.onRun) }])),
          // Enter is the completion's while its list is open or on its way; Shift+Enter is a new line.
          Prec.highest(keymap.of([{ key: "Enter", run: completed }])),
          keymap.of([
            { key: "Enter", run: () => run(now.current.onRun) },
            ...closeBracketsKeymap, ...historyKeymap, ...defaultKeymap,
          ]),
          history(), closeBrackets(), bracketMatching(), autocompletion({ interactionDelay: 0 }),
          EditorView.lineWrapping, placeholder(hint),
          EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false" }),
          promql.asExtension(),
          linter((shown) => mistakes(shown, promql), { delay: CHECK_PAUSE_MS }),
          syntaxHighlighting(COLORS), THEME,
          EditorView.updateListener.of((update) => {
            if (!update.docChanged || isTold.current) return;
            const written = update.state.doc.toString();
            told.current.push(written);
            now.current.onText(written);
          }),
        ],
      }),
    });
    view.current = made;
    if (now.current.isNew) made.focus();
    return () => {
      view.current = null;
      promql.destroy();
      made.destroy();
    };
  }, [label, hint]);

  useEffect(() => {
    const made = view.current;
    const shown = made?.state.doc.toString();
    if (made === null || shown === undefined) return;
    const echo = shown === text ? told.current.length - 1 : told.current.lastIndexOf(text);
    told.current.splice(0, echo + 1);
    if (shown === text || echo >= 0) return;
    told.current = [];
    isTold.current = true;
    made.dispatch({ changes: { from: 0, to: shown.length, insert: text } });
    isTold.current = false;
  }, [text]);

  useEffect(() => {
    const made = view.current;
    if (made === null || cursor === null) return;
    const at = Math.min(unitsBefore(made.state.doc.toString(), cursor.position), made.state.doc.length);
    made.dispatch({ selection: { anchor: at }, scrollIntoView: true });
    made.focus();
  }, [cursor]);

  return <div ref={place} className={classes.editor} data-wrong={isWrong || undefined} />;
}

function completed(view: EditorView): boolean {
  if (completionStatus(view.state) === null) return false;
  acceptCompletion(view);
  return true;
}

function run(onRun: () => void): boolean {
  onRun();
  return true;
}

/** The range is added to what the completion asks: by address, or in the form of a POST. */
function askedWithin(range: TimeRange, input: RequestInfo, init?: RequestInit): Promise<Response> {
  const within = { start: String(range.fromMs / 1000), end: String(range.toMs / 1000) };
  if (typeof input !== "string" || /\/(?:metadata|flags)/.test(input)) return fetch(input, init);
  if (init?.body instanceof URLSearchParams) {
    for (const [name, value] of Object.entries(within)) init.body.set(name, value);
    return fetch(input, init);
  }
  return fetch(`${input}${input.includes("?") ? "&" : "?"}${new URLSearchParams(within).toString()}`, init);
}

/** What the browser finds by itself is not asked for; what it finds nothing in, the server reads as well. */
async function mistakes(view: EditorView, promql: PromQLExtension): Promise<readonly Diagnostic[]> {
  const text = view.state.doc.toString();
  if (text.trim() === "") return [];
  const own = await promql.getLinter().promQL()(view);
  if (own.length > 0) return own;
  try {
    await askPrometheus("/parse_query", { query: text });
    return [];
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "bad_data") return [];
    const from = Math.min(unitsBefore(text, error.position ?? 0), text.length);
    return [{ from, to: Math.min(text.length, from + 1), severity: "error", message: error.message }];
  }
}

const COLORS = HighlightStyle.define([
  { tag: [tags.function(tags.variableName), tags.operatorKeyword], color: "var(--code-call)" },
  { tag: [tags.modifier, tags.logicOperator, tags.keyword], color: "var(--code-word)" },
  { tag: tags.string, color: "var(--code-text)" },
  { tag: [tags.number, tags.literal], color: "var(--code-number)" },
  { tag: tags.labelName, color: "var(--code-label)" },
  { tag: tags.comment, color: "var(--tl-faint)", fontStyle: "italic" },
  { tag: tags.invalid, color: "var(--tl-error-text)" },
]);

const THEME = EditorView.theme({
  "&": { fontSize: "0.8125rem", color: "var(--tl-text)", background: "transparent" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mantine-font-family-monospace)", lineHeight: "1.5", maxHeight: "14rem", overflow: "auto" },
  ".cm-content": { padding: "5px 0", caretColor: "var(--tl-text)" },
  ".cm-line": { padding: "0 8px" },
  ".cm-placeholder": { color: "var(--tl-faint)" },
  ".cm-cursor": { borderLeftColor: "var(--tl-text)" },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": { background: "var(--tl-selected)", outline: "1px solid var(--tl-line-strong)" },
  ".cm-nonmatchingBracket, &.cm-focused .cm-nonmatchingBracket": { background: "transparent", color: "var(--tl-error-text)" },
  ".cm-tooltip": {
    color: "var(--tl-text)", background: "var(--tl-raised)", border: "1px solid var(--tl-line-strong)",
    borderRadius: "4px", boxShadow: "0 4px 14px rgb(0 0 0 / 25%)", zIndex: "300",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": {
    maxHeight: "16rem", fontFamily: "var(--mantine-font-family-monospace)", fontSize: "0.8125rem",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "2px 8px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { color: "var(--tl-text)", background: "var(--tl-selected)" },
  ".cm-completionMatchedText": { color: "var(--tl-accent)", textDecoration: "none", fontWeight: "600" },
  ".cm-completionDetail": { color: "var(--tl-muted)", fontStyle: "normal" },
  ".cm-completionIcon": { display: "none" },
  ".cm-tooltip.cm-completionInfo": { maxWidth: "24rem", padding: "4px 8px", fontSize: "0.75rem" },
  ".cm-diagnostic": { padding: "4px 8px", fontSize: "0.75rem" },
  ".cm-diagnostic-error": { borderLeft: "3px solid var(--tl-error)" },
  ".cm-diagnostic-warning": { borderLeft: "3px solid var(--tl-warn)" },
  ".cm-diagnostic-info": { borderLeft: "3px solid var(--tl-accent)" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--tl-error)", textUnderlineOffset: "3px" },
  ".cm-lintRange-warning": { backgroundImage: "none", textDecoration: "underline wavy var(--tl-warn)", textUnderlineOffset: "3px" },
});
