/** The screens, at the left; narrow it shows only their icons. */

import { ActionIcon, Tooltip } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { setPreferences, usePreferences } from "~/state/preferences";
import { ServerState } from "./server_state";
import classes from "./shell.module.css";

export const SCREENS = [
  { to: "/", word: "shell.overview", icon: "overview", key: "o" },
  { to: "/logs", word: "shell.logs", icon: "logs", key: "l" },
  { to: "/traces", word: "shell.traces", icon: "traces", key: "t" },
  { to: "/metrics", word: "shell.metrics", icon: "metrics", key: "m" },
  { to: "/alerts", word: "shell.alerts", icon: "alerts", key: "a" },
  { to: "/targets", word: "shell.targets", icon: "targets", key: "e" },
  { to: "/notifications", word: "shell.notifications", icon: "notifications", key: "n" },
  { to: "/sources", word: "shell.sources", icon: "sources", key: "s" },
] as const;

export function Navigation() {
  const t = useT();
  const { isNavigationNarrow } = usePreferences();
  const widthWord = t(isNavigationNarrow ? "shell.wide" : "shell.narrow");
  return (
    <nav className={classes.navigation} aria-label={t("shell.navigation")}>
      <div className={classes.brand}>
        <img src="/favicon.svg" alt="" width={22} height={22} />
        <span className={classes.word}>Trilens</span>
      </div>
      <ul className={classes.screens}>
        {SCREENS.map((screen) => (
          <li key={screen.to}>
            <Tooltip label={`${t(screen.word)} (g ${screen.key})`} position="right">
              <Link
                to={screen.to}
                className={classes.screenLink}
                activeProps={{ "aria-current": "page" }}
                activeOptions={{ exact: screen.to === "/", includeSearch: false }}
              >
                <Icon name={screen.icon} sizePx={18} />
                <span className={classes.word}>{t(screen.word)}</span>
              </Link>
            </Tooltip>
          </li>
        ))}
      </ul>
      <div className={classes.navigationEnd}>
        <ServerState />
        <Tooltip label={widthWord} position="right">
          <ActionIcon
            className={classes.widthSwitch}
            aria-label={widthWord}
            onClick={() => setPreferences({ isNavigationNarrow: !isNavigationNarrow })}
          >
            <Icon name="panel" />
          </ActionIcon>
        </Tooltip>
      </div>
    </nav>
  );
}
