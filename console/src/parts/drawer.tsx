/** Details of what was selected, at the right of the list that stays usable; Esc closes it. */

import { ActionIcon, Tooltip } from "@mantine/core";
import type { ReactNode } from "react";
import { useT } from "~/i18n/use_t";
import { useShortcuts } from "~/shell/keys";
import { Icon } from "./icon";
import classes from "./parts.module.css";

interface Props {
  readonly title: ReactNode;
  readonly label: string;
  readonly actions?: ReactNode;
  readonly onClose: () => void;
  readonly children: ReactNode;
  readonly widthPx?: number;
}

export function Drawer({ title, label, actions, onClose, children, widthPx = 480 }: Props) {
  const t = useT();
  useShortcuts([{ keys: "Escape", label: t("keys.close"), group: "everywhere", run: onClose }]);
  return (
    <aside className={classes.drawer} style={{ flexBasis: widthPx }} aria-label={label}>
      <header className={classes.drawerHead}>
        <h2 className={classes.drawerTitle}>{title}</h2>
        <span className={classes.panelActions}>
          {actions}
          <Tooltip label={`${t("parts.close")} (Esc)`}>
            <ActionIcon aria-label={t("parts.close")} onClick={onClose}>
              <Icon name="close" />
            </ActionIcon>
          </Tooltip>
        </span>
      </header>
      <div className={classes.drawerBody}>{children}</div>
    </aside>
  );
}
