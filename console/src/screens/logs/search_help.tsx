/** The query language on half a page; an example can be taken into the search. */

import { ActionIcon, Popover, Tooltip } from "@mantine/core";
import { useState } from "react";
import { useT, type WordKey } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import classes from "./logs.module.css";

const EXAMPLES: readonly (readonly [string, WordKey])[] = [
  ["timeout upstream", "logs.help.words"],
  ['"connection reset"', "logs.help.phrase"],
  ["timeout -health", "logs.help.not"],
  ["(timeout OR refused) api", "logs.help.or"],
  ["conn*", "logs.help.prefix"],
  ["severity:>=warn", "logs.help.severity"],
  ["service:checkout", "logs.help.field"],
  ["attributes.http.response.status_code:>=500", "logs.help.number"],
  ["attributes.user.id:*", "logs.help.exists"],
  ["resource.service.version:1.4*", "logs.help.fieldPrefix"],
];

export function SearchHelp({ onExample }: { readonly onExample: (text: string) => void }) {
  const t = useT();
  const [isOpen, setOpen] = useState(false);
  return (
    <Popover opened={isOpen} onChange={setOpen} position="bottom-end" width={520} shadow="md" trapFocus returnFocus>
      <Popover.Target>
        <Tooltip label={t("logs.help")} disabled={isOpen}>
          <ActionIcon aria-label={t("logs.help")} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            <Icon name="info" />
          </ActionIcon>
        </Tooltip>
      </Popover.Target>
      <Popover.Dropdown p="sm">
        <h2 className={classes.helpTitle}>{t("logs.help")}</h2>
        <dl className={classes.help}>
          {EXAMPLES.map(([example, meaning]) => (
            <div key={example}>
              <dt>
                <button
                  type="button"
                  onClick={() => {
                    setOpen(false);
                    onExample(example);
                  }}
                >
                  {example}
                </button>
              </dt>
              <dd>{t(meaning as "logs.help.words")}</dd>
            </div>
          ))}
        </dl>
        <p className="muted">{t("logs.help.more")}</p>
      </Popover.Dropdown>
    </Popover>
  );
}
