/** What a list is asked for: words, and choices that can be taken back. */

import { CloseButton, Select, TextInput } from "@mantine/core";
import type { ReactNode } from "react";
import { useT } from "~/i18n/use_t";
import { useTyped } from "~/state/use_typed";
import { Icon } from "./icon";
import classes from "./parts.module.css";

export interface Choice {
  readonly label: string;
  readonly value: string | undefined;
  readonly choices: readonly { readonly value: string; readonly label: string }[];
  readonly onChange: (value: string | undefined) => void;
}

interface Props {
  readonly match: string;
  readonly onMatch: (match: string | undefined) => void;
  readonly hint: string;
  readonly choices: readonly Choice[];
  /** Before the words. */
  readonly begin?: ReactNode;
  /** The list below goes to the edges of the screen. */
  readonly isFlush?: boolean;
  /** At the right: counts, what can be made. */
  readonly children?: ReactNode;
}

const SEARCHED_FROM = 8;

export function FilterBar({ match, onMatch, hint, choices, begin, isFlush = false, children }: Props) {
  const t = useT();
  const [typed, type] = useTyped(match, (text) => onMatch(text === "" ? undefined : text));
  return (
    <div className={classes.bar} data-flush={isFlush || undefined} role="group" aria-label={t("parts.filters")}>
      {begin}
      <TextInput
        className={classes.barText} data-search aria-label={hint} placeholder={hint} value={typed}
        leftSection={<Icon name="search" sizePx={14} />}
        rightSection={typed === "" ? null : (
          <CloseButton size="xs" aria-label={t("parts.clearText")} onClick={() => type("")} />
        )}
        onChange={(event) => type(event.currentTarget.value)}
      />
      {choices.map((one) => (
        <Select
          key={one.label} className={classes.barChoice} aria-label={one.label} placeholder={one.label}
          value={one.value ?? null} data={[...one.choices]} clearable limit={200}
          searchable={one.choices.length > SEARCHED_FROM}
          clearButtonProps={{ "aria-label": t("parts.anyOf", { what: one.label }) }}
          comboboxProps={{ width: "max-content", position: "bottom-start" }}
          onChange={(value) => one.onChange(value ?? undefined)}
        />
      ))}
      <span className={classes.barEnd}>{children}</span>
    </div>
  );
}
