/** What the list is asked for: words, and choices that can be taken back. */

import { CloseButton, Select, TextInput } from "@mantine/core";
import type { ReactNode } from "react";
import { useT } from "~/i18n/use_t";
import { useTyped } from "~/state/use_typed";
import classes from "./alerts.module.css";

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
  readonly children?: ReactNode;
}

export function FilterBar({ match, onMatch, hint, choices, children }: Props) {
  const t = useT();
  const [typed, type] = useTyped(match, (text) => onMatch(text === "" ? undefined : text));
  return (
    <div className={classes.bar} role="group" aria-label={t("parts.filters")}>
      <TextInput
        className={classes.barText} data-search aria-label={hint} placeholder={hint} value={typed}
        rightSection={typed === "" ? null : (
          <CloseButton size="xs" aria-label={t("alerts.clearText")} onClick={() => type("")} />
        )}
        onChange={(event) => type(event.currentTarget.value)}
      />
      {choices.map((one) => (
        <Select
          key={one.label} className={classes.barChoice} aria-label={one.label} placeholder={one.label}
          value={one.value ?? null} data={[...one.choices]} clearable searchable={one.choices.length > 8}
          clearButtonProps={{ "aria-label": t("alerts.clear", { what: one.label }) }}
          comboboxProps={{ width: "max-content", position: "bottom-start" }}
          onChange={(value) => one.onChange(value ?? undefined)}
        />
      ))}
      <span className={classes.barEnd}>{children}</span>
    </div>
  );
}
