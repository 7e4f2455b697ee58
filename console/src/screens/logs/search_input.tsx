/** The line that is typed into, with what the term at the cursor may become below it. */

import { type KeyboardEvent, type RefObject, useLayoutEffect, useRef, useState } from "react";
import type { Facet } from "~/api/logs";
import { count } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import classes from "./logs.module.css";
import { type Suggestion, suggested, taken } from "./suggestions";

interface Props {
  readonly box: RefObject<HTMLInputElement | null>;
  readonly typed: string;
  readonly facets: readonly Facet[];
  readonly isWrong: boolean;
  readonly onTyped: (typed: string) => void;
}

/** Nothing is chosen: Enter searches. */
const NONE = -1;

export function SearchInput({ box, typed, facets, isWrong, onTyped }: Props) {
  const t = useT();
  const [cursor, setCursor] = useState<number | null>(null);
  const [chosen, setChosen] = useState(NONE);
  const at = cursor === null ? null : suggested(typed, cursor, facets);
  const items = at?.items ?? [];
  const wanted = useRef<number | null>(null);
  // As soon as the new text is in the box, before the next key.
  useLayoutEffect(() => {
    if (wanted.current !== null) box.current?.setSelectionRange(wanted.current, wanted.current);
    wanted.current = null;
  }, [box, typed]);
  const close = () => {
    setCursor(null);
    setChosen(NONE);
  };
  const take = (item: Suggestion | undefined) => {
    if (at === null || item === undefined) return;
    const next = taken(typed, at, item);
    onTyped(next.query);
    setChosen(NONE);
    setCursor(item.text.endsWith(":") ? next.cursor : null);
    wanted.current = next.cursor;
  };
  const pressed = (event: KeyboardEvent) => {
    if (items.length === 0 || event.nativeEvent.isComposing) return;
    if (event.key === "ArrowDown") setChosen((chosen + 1) % items.length);
    else if (event.key === "ArrowUp") setChosen(chosen <= 0 ? items.length - 1 : chosen - 1);
    else if (event.key === "Tab" && !event.shiftKey) take(items[Math.max(0, chosen)]);
    else if (event.key === "Enter" && chosen !== NONE) take(items[chosen]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <>
      <input
        ref={box} data-search type="text" value={typed} spellCheck={false} autoComplete="off"
        role="combobox" aria-expanded={items.length > 0} aria-controls="logs-suggestions" aria-autocomplete="list"
        aria-activedescendant={chosen === NONE ? undefined : `logs-suggestion-${chosen}`}
        aria-label={t("logs.search")} placeholder={t("logs.searchExample")}
        aria-invalid={isWrong} aria-describedby={isWrong ? "logs-search-error" : undefined}
        onChange={(event) => {
          onTyped(event.currentTarget.value);
          setCursor(event.currentTarget.selectionStart);
          setChosen(NONE);
        }}
        onKeyDown={pressed} onBlur={close}
      />
      {items.length > 0 && (
        <ul id="logs-suggestions" className={classes.suggestions} role="listbox" aria-label={t("logs.suggestions")}>
          {items.map((item, index) => (
            <li
              key={item.text} id={`logs-suggestion-${index}`} role="option" aria-selected={index === chosen}
              // Before the box loses the focus.
              onMouseDown={(event) => {
                event.preventDefault();
                take(item);
              }}
            >
              <span className="cut">{item.text}</span>
              {item.rows !== undefined && <span className="muted">{count(item.rows)}</span>}
            </li>
          ))}
          <li className={classes.suggestionsNote} aria-hidden>{t("logs.suggestionsKeys")}</li>
        </ul>
      )}
    </>
  );
}
