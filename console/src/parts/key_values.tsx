/** Names and values of one thing, sorted by name, each to be copied or made a filter. */

import { ActionIcon, Tooltip } from "@mantine/core";
import { useT } from "~/i18n/use_t";
import { CopyButton } from "./copy_button";
import { Icon } from "./icon";
import classes from "./parts.module.css";

interface Props {
  readonly values: Readonly<Record<string, string>>;
  /** Given, each value has buttons that look for it, or for everything else. */
  readonly onFilter?: (key: string, value: string, op: "=" | "!=") => void;
  /** In the order given instead of by name. */
  readonly isOrdered?: boolean;
}

export function KeyValues({ values, onFilter, isOrdered = false }: Props) {
  const t = useT();
  const entries = Object.entries(values);
  if (!isOrdered) entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return (
    <dl className={classes.pairs}>
      {entries.map(([key, value]) => (
        <div key={key} className={classes.pair}>
          <dt title={key}>{key}</dt>
          <dd>{value === "" ? <span className="muted">{'""'}</span> : value}</dd>
          <span className={classes.pairActions}>
            {onFilter !== undefined && (
              <>
                <Tooltip label={t("parts.filterFor")}>
                  <ActionIcon
                    size="sm" aria-label={`${t("parts.filterFor")}: ${key}`}
                    onClick={() => onFilter(key, value, "=")}
                  >
                    <Icon name="plus" sizePx={14} />
                  </ActionIcon>
                </Tooltip>
                <Tooltip label={t("parts.filterOut")}>
                  <ActionIcon
                    size="sm" aria-label={`${t("parts.filterOut")}: ${key}`}
                    onClick={() => onFilter(key, value, "!=")}
                  >
                    <Icon name="minus" sizePx={14} />
                  </ActionIcon>
                </Tooltip>
              </>
            )}
            <CopyButton text={value} label={`${t("parts.copy")}: ${key}`} />
          </span>
        </div>
      ))}
    </dl>
  );
}
