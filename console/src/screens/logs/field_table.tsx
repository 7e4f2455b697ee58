/** Fields of a row, each to be looked for, left out, made a column or copied. */

import { ActionIcon, Tooltip } from "@mantine/core";
import { useMemo } from "react";
import { useT } from "~/i18n/use_t";
import { CopyButton } from "~/parts/copy_button";
import { Icon, type IconName } from "~/parts/icon";
import { JsonText } from "./json_text";
import { jsonTokens } from "./json_tokens";
import classes from "./logs.module.css";
import type { RowField } from "./row_fields";

export interface FieldActions {
  readonly columns: readonly string[];
  readonly onTake: (field: string, value: string) => void;
  readonly onLeaveOut: (field: string, value: string) => void;
  readonly onColumn: (field: string) => void;
}

interface Props extends FieldActions {
  readonly label: string;
  readonly fields: readonly RowField[];
}

export function FieldTable({ label, fields, ...actions }: Props) {
  if (fields.length === 0) return null;
  return (
    <section aria-label={label}>
      <header className={classes.detailHead}>
        <h3>{label}</h3>
        <span className="muted">{fields.length}</span>
      </header>
      <dl className={classes.fields}>
        {fields.map((one) => (
          <FieldLine key={one.field} one={one} {...actions} />
        ))}
      </dl>
    </section>
  );
}

function FieldLine({ one, columns, onTake, onLeaveOut, onColumn }: FieldActions & { readonly one: RowField }) {
  const t = useT();
  const name = t.maybe(`logs.field.${one.field}`) ?? one.name;
  const isColumn = columns.includes(one.field);
  return (
    <div className={classes.field}>
      <dt title={one.field}>
        <span className="cut">{name}</span>
        {one.type !== undefined && one.type !== "string" && (
          <span className={classes.fieldType}>{one.type === "" ? t("logs.notSet") : one.type}</span>
        )}
      </dt>
      <dd>
        <FieldValue value={one.value} />
      </dd>
      <span className={classes.fieldActions}>
        <Act icon="plus" label={`${t("parts.filterFor")}: ${name}`} onClick={() => onTake(one.field, one.value)} />
        <Act icon="minus" label={`${t("parts.filterOut")}: ${name}`} onClick={() => onLeaveOut(one.field, one.value)} />
        <Act
          icon="list" label={t(isColumn ? "logs.columnOff" : "logs.columnOn", { field: name })} isOn={isColumn}
          onClick={() => onColumn(one.field)}
        />
        <CopyButton text={one.value} label={`${t("parts.copy")}: ${name}`} />
      </span>
    </div>
  );
}

function FieldValue({ value }: { readonly value: string }) {
  const tokens = useMemo(() => jsonTokens(value), [value]);
  if (value === "") return <span className="muted">{'""'}</span>;
  return tokens === null ? value : <JsonText tokens={tokens} found={null} />;
}

interface ActProps {
  readonly icon: IconName;
  readonly label: string;
  readonly isOn?: boolean;
  readonly onClick: () => void;
}

function Act({ icon, label, isOn, onClick }: ActProps) {
  return (
    <Tooltip label={label}>
      <ActionIcon size="sm" aria-label={label} aria-pressed={isOn} onClick={onClick}>
        <Icon name={icon} sizePx={14} />
      </ActionIcon>
    </Tooltip>
  );
}
