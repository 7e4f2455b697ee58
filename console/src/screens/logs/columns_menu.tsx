/** Which fields stand between the time and the body. */

import { Button, Checkbox, Popover, TextInput } from "@mantine/core";
import { useState } from "react";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { ROW_FIELDS, shortName, toggledColumn } from "./columns";
import classes from "./logs.module.css";

interface Props {
  readonly columns: readonly string[];
  /** Attributes and fields of the resource that rows in sight have. */
  readonly offered: readonly string[];
  readonly onColumns: (columns: readonly string[] | undefined) => void;
}

const SHOWN_MAX = 60;

export function ColumnsMenu({ columns, offered, onColumns }: Props) {
  const t = useT();
  const [isOpen, setOpen] = useState(false);
  const [looked, setLooked] = useState("");
  const all = [...new Set([...columns, ...ROW_FIELDS, ...offered])];
  const wanted = looked.trim().toLowerCase();
  const nameOf = (field: string) => t.maybe(`logs.field.${field}`) ?? shortName(field);
  const shown = all.filter((field) => `${field} ${nameOf(field)}`.toLowerCase().includes(wanted)).slice(0, SHOWN_MAX);
  return (
    <Popover opened={isOpen} onChange={setOpen} position="bottom-end" width={300} shadow="md" trapFocus returnFocus>
      <Popover.Target>
        <Button
          variant="default" size="compact-xs" leftSection={<Icon name="list" sizePx={13} />}
          aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}
        >
          {t("logs.columns")}
        </Button>
      </Popover.Target>
      <Popover.Dropdown p="sm">
        <TextInput
          data-autofocus aria-label={t("logs.findField")} placeholder={t("logs.findField")} value={looked}
          onChange={(event) => setLooked(event.currentTarget.value)}
        />
        <div className={classes.columnList}>
          {shown.map((field) => (
            <Checkbox
              key={field} size="xs" label={<span title={field}>{nameOf(field)}</span>}
              checked={columns.includes(field)} onChange={() => onColumns(toggledColumn(columns, field))}
            />
          ))}
        </div>
        <Button fullWidth size="compact-xs" variant="subtle" onClick={() => onColumns(undefined)}>
          {t("logs.usualColumns")}
        </Button>
      </Popover.Dropdown>
    </Popover>
  );
}
