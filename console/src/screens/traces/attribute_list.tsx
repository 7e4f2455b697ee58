/** Attributes with their types; each to be copied, or looked for in all traces. */

import { ActionIcon, Tooltip } from "@mantine/core";
import { useT } from "~/i18n/use_t";
import { CopyButton } from "~/parts/copy_button";
import { Icon } from "~/parts/icon";
import { readable } from "./readable";
import classes from "./details.module.css";

export type OnFilter = (field: string, op: "=" | "!=", value: string) => void;

interface Props {
  readonly values: Readonly<Record<string, string>>;
  readonly types?: Readonly<Record<string, string>>;
  /** What is before the key in a filter: `attributes.`; absent: nothing can be looked for. */
  readonly prefix?: string;
  readonly onFilter?: OnFilter;
}

export function AttributeList({ values, types, prefix = "", onFilter }: Props) {
  const t = useT();
  const entries = Object.entries(values).sort(([one], [other]) => (one < other ? -1 : 1));
  return (
    <dl className={classes.pairs}>
      {entries.map(([key, value]) => (
        <div key={key} className={classes.pair}>
          <dt title={key}>
            <span className={classes.key}>{key}</span>
            {types?.[key] !== undefined && types[key] !== "string" && <span className={classes.type}>{types[key]}</span>}
          </dt>
          <dd>{value === "" ? <span className="muted">{'""'}</span> : readable(value, types?.[key])}</dd>
          <span className={classes.pairActions}>
            {onFilter !== undefined && (
              <>
                <FilterButton icon="plus" label={`${t("traces.tracesWith")}: ${key}`} onClick={() => onFilter(`${prefix}${key}`, "=", value)} />
                <FilterButton icon="minus" label={`${t("traces.tracesWithout")}: ${key}`} onClick={() => onFilter(`${prefix}${key}`, "!=", value)} />
              </>
            )}
            <CopyButton text={value} label={`${t("parts.copy")}: ${key}`} />
          </span>
        </div>
      ))}
    </dl>
  );
}

interface ButtonProps {
  readonly icon: "plus" | "minus";
  readonly label: string;
  readonly onClick: () => void;
}

function FilterButton({ icon, label, onClick }: ButtonProps) {
  return (
    <Tooltip label={label}>
      <ActionIcon size="sm" aria-label={label} onClick={onClick}>
        <Icon name={icon} sizePx={14} />
      </ActionIcon>
    </Tooltip>
  );
}
