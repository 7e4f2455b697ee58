/** The search: typed, asked by Enter, with the mistake shown where it is. */

import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { useRef, useState } from "react";
import type { ApiError } from "~/api/client";
import type { Facet } from "~/api/logs";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import classes from "./logs.module.css";
import { mistakeInWords } from "./mistake_words";
import { cutAt } from "./query_error";
import { SearchHelp } from "./search_help";
import { SearchInput } from "./search_input";

interface Props {
  readonly query: string;
  readonly error: ApiError | null;
  /** Fields and values to be suggested. */
  readonly facets: readonly Facet[];
  readonly onQuery: (query: string) => void;
}

export function SearchBox({ query, error, facets, onQuery }: Props) {
  const t = useT();
  const box = useRef<HTMLInputElement>(null);
  const [asked, setAsked] = useState(query);
  const [typed, setTyped] = useState(query);
  // Back, a link or a filter changed the search from outside.
  if (asked !== query) {
    setAsked(query);
    setTyped(query);
  }
  const put = (text: string) => {
    setTyped(text);
    box.current?.focus();
  };
  return (
    <search className={classes.search}>
      <form
        className={classes.searchLine}
        onSubmit={(event) => {
          event.preventDefault();
          onQuery(typed.trim());
        }}
      >
        <span className={classes.searchBox} data-wrong={error !== null || undefined}>
          <Icon name="search" sizePx={14} />
          <SearchInput box={box} typed={typed} facets={facets} isWrong={error !== null} onTyped={setTyped} />
          {typed !== "" && (
            <Tooltip label={t("logs.clearSearch")}>
              <ActionIcon
                size="sm" aria-label={t("logs.clearSearch")}
                onClick={() => {
                  put("");
                  onQuery("");
                }}
              >
                <Icon name="close" sizePx={13} />
              </ActionIcon>
            </Tooltip>
          )}
        </span>
        <Button type="submit" variant={typed.trim() === query ? "default" : "filled"}>
          {t("logs.searchDo")}
        </Button>
        <SearchHelp onExample={put} />
      </form>
      {error !== null && (
        <Mistake
          query={query} error={error}
          onPlace={(at) => {
            box.current?.focus();
            box.current?.setSelectionRange(at, at);
          }}
        />
      )}
    </search>
  );
}

interface MistakeProps {
  readonly query: string;
  readonly error: ApiError;
  /** UTF-16 units before the mistake. */
  readonly onPlace: (at: number) => void;
}

function Mistake({ query, error, onPlace }: MistakeProps) {
  const t = useT();
  const { before, wrong, after } = cutAt(query, error.position ?? 0);
  return (
    <div id="logs-search-error" className={classes.mistake} role="alert">
      <button type="button" className={classes.mistakeText} onClick={() => onPlace(before.length)}>
        <span>{before}</span>
        <span className={classes.mistakeHere} data-testid="mistake">{wrong === "" ? "\u00a0" : wrong}</span>
        <span>{after}</span>
      </button>
      <span>
        {`${t("error.at", { position: (error.position ?? 0) + 1 })}: ${mistakeInWords(error.message, t)}`}
      </span>
    </div>
  );
}
