/** What surrounds every screen: navigation, header, notes about the server, keys. */

import { Outlet, useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useT } from "~/i18n/use_t";
import { livePauseMs, useMovingMoment } from "~/state/moment";
import { usePreferences } from "~/state/preferences";
import { useTimeRange } from "~/state/use_time_range";
import { Header } from "./header";
import { KeyHelp } from "./key_help";
import { focusSearch, type ShortcutGroup, useKeyboard, useShortcuts } from "./keys";
import { Navigation, SCREENS } from "./navigation";
import { ServerNote } from "./server_state";
import { HeadContext } from "./screen";
import classes from "./shell.module.css";
import { useLookAgain } from "./use_look_again";

export function AppFrame() {
  const t = useT();
  const { isNavigationNarrow, language } = usePreferences();
  const control = useTimeRange();
  const navigate = useNavigate();
  const lookAgain = useLookAgain();
  const [isHelpOpen, setHelpOpen] = useState(false);
  const [head, setHead] = useState<HTMLElement | null>(null);
  const [isTimeOpen, setTimeOpen] = useState(false);
  useKeyboard();
  useMovingMoment(control.isLive, livePauseMs(control.range));
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);

  const group: ShortcutGroup = "everywhere";
  useShortcuts([
    ...SCREENS.map((screen) => ({
      keys: `g ${screen.key}`,
      label: t("keys.go", { screen: t(screen.word) }),
      group: group,
      run: () => void navigate({ to: screen.to }),
    })),
    { keys: "/", label: t("keys.search"), group, run: focusSearch },
    { keys: "t", label: t("keys.time"), group, run: () => setTimeOpen(true) },
    { keys: "[", label: t("keys.earlier"), group, run: () => control.shift(-1) },
    { keys: "]", label: t("keys.later"), group, run: () => control.shift(1) },
    { keys: "-", label: t("keys.zoomOut"), group, run: control.zoomOut },
    { keys: "r", label: t("keys.refresh"), group, run: lookAgain },
    { keys: "p", label: t("keys.live"), group, run: control.toggleLive },
    { keys: "?", label: t("keys.help"), group, run: () => setHelpOpen(true) },
  ]);

  return (
    <div className={classes.frame} data-narrow={isNavigationNarrow || undefined}>
      <a className={classes.skip} href="#content">
        {t("shell.skip")}
      </a>
      <Navigation />
      <div className={classes.page}>
        <Header
          headRef={setHead} isTimeOpen={isTimeOpen} onTimeOpen={setTimeOpen}
          onHelp={() => setHelpOpen(true)}
        />
        <ServerNote />
        <main id="content" className={classes.main} tabIndex={-1}>
          <HeadContext value={head}>
            <Outlet />
          </HeadContext>
        </main>
      </div>
      <KeyHelp isOpen={isHelpOpen} onClose={() => setHelpOpen(false)} />
    </div>
  );
}
