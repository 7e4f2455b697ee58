/** All shortcuts that work right now. */

import { Modal } from "@mantine/core";
import { useT } from "~/i18n/use_t";
import { type ShortcutGroup, useAllShortcuts } from "./keys";
import classes from "./shell.module.css";

const GROUPS = [
  ["everywhere", "keys.everywhere"],
  ["inLists", "keys.inLists"],
  ["onScreen", "keys.onScreen"],
] as const satisfies readonly (readonly [ShortcutGroup, string])[];

const SHOWN: Readonly<Record<string, string>> = {
  Escape: "Esc", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓",
};

interface Props {
  readonly isOpen: boolean;
  readonly onClose: () => void;
}

export function KeyHelp({ isOpen, onClose }: Props) {
  const t = useT();
  const all = useAllShortcuts();
  return (
    <Modal
      opened={isOpen} onClose={onClose} title={t("shell.help")} size="lg"
      closeButtonProps={{ "aria-label": t("parts.close") }}
    >
      <div className={classes.keyGroups}>
        {GROUPS.map(([group, word]) => {
          const shortcuts = all.filter((one) => one.group === group && one.label !== "");
          if (shortcuts.length === 0) return null;
          return (
            <section key={group}>
              <h3>{t(word)}</h3>
              <dl className={classes.keyList}>
                {shortcuts.map((one) => (
                  <div key={one.keys}>
                    <dt>
                      {one.keys.split(" ").map((key) => (
                        <kbd key={key}>{SHOWN[key] ?? key}</kbd>
                      ))}
                    </dt>
                    <dd>{one.label}</dd>
                  </div>
                ))}
              </dl>
            </section>
          );
        })}
      </div>
    </Modal>
  );
}
