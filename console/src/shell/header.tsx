/** The one time range, and what holds for the whole console: colours, language, help. */

import { ActionIcon, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { setPreferences, usePreferences } from "~/state/preferences";
import { useTimeRange } from "~/state/use_time_range";
import classes from "./shell.module.css";
import { TimeControl } from "./time_control";
import { useLookAgain } from "./use_look_again";

interface Props {
  /** Takes the element that a screen puts its title into. */
  readonly headRef: (element: HTMLElement | null) => void;
  readonly isTimeOpen: boolean;
  readonly onTimeOpen: (isOpen: boolean) => void;
  readonly onHelp: () => void;
}

export function Header({ headRef, isTimeOpen, onTimeOpen, onHelp }: Props) {
  const t = useT();
  const { language } = usePreferences();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("dark");
  const lookAgain = useLookAgain();
  const otherScheme = t(scheme === "dark" ? "shell.light" : "shell.dark");
  return (
    <header className={classes.header}>
      <div ref={headRef} className={classes.screenHead} />
      <TimeControl isOpen={isTimeOpen} onOpen={onTimeOpen} />
      <LiveSwitch />
      <Tooltip label={`${t("shell.refresh")} (r)`}>
        <ActionIcon aria-label={t("shell.refresh")} onClick={lookAgain}>
          <Icon name="refresh" />
        </ActionIcon>
      </Tooltip>
      <span className={classes.headerLine} />
      <Tooltip label={t("shell.language")}>
        <ActionIcon
          className={classes.languageSwitch}
          aria-label={t("shell.language")}
          onClick={() => setPreferences({ language: language === "en" ? "ko" : "en" })}
        >
          {language === "en" ? "한" : "EN"}
        </ActionIcon>
      </Tooltip>
      <Tooltip label={otherScheme}>
        <ActionIcon
          aria-label={otherScheme}
          onClick={() => setColorScheme(scheme === "dark" ? "light" : "dark")}
        >
          <Icon name={scheme === "dark" ? "sun" : "moon"} />
        </ActionIcon>
      </Tooltip>
      <Tooltip label={`${t("shell.help")} (?)`}>
        <ActionIcon aria-label={t("shell.help")} onClick={onHelp}>
          <Icon name="keyboard" />
        </ActionIcon>
      </Tooltip>
    </header>
  );
}

function LiveSwitch() {
  const t = useT();
  const { isLive, canBeLive, toggleLive } = useTimeRange();
  const what = t(!canBeLive ? "shell.liveNot" : isLive ? "shell.liveOn" : "shell.liveOff");
  return (
    <Tooltip label={`${what} (p)`}>
      <button
        type="button"
        className={classes.live}
        data-live={isLive || undefined}
        aria-pressed={isLive}
        onClick={toggleLive}
      >
        <span className={classes.liveMark} />
        {t(isLive ? "shell.live" : canBeLive ? "shell.paused" : "shell.fixed")}
      </button>
    </Tooltip>
  );
}
