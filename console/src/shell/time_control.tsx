/** Choosing the time range: steps beside it, a line to type, the usual lengths, the zone. */

import { ActionIcon, Button, Popover, SegmentedControl, TextInput, Tooltip } from "@mantine/core";
import { useState } from "react";
import { zoneName } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { setPreferences, useZone } from "~/state/preferences";
import { lastOf, parseTyped, PRESETS, presetOf, type TimeText } from "~/state/time_range";
import { useTimeRange } from "~/state/use_time_range";
import classes from "./shell.module.css";
import { amountInWords, instants, rangeInWords } from "./time_words";

interface Props {
  readonly isOpen: boolean;
  readonly onOpen: (isOpen: boolean) => void;
}

export function TimeControl({ isOpen, onOpen }: Props) {
  const t = useT();
  const zone = useZone();
  const { text, range, shift, zoomOut, setText } = useTimeRange();
  const choose = (next: TimeText) => {
    setText(next);
    onOpen(false);
  };
  return (
    <div className={classes.time} role="group" aria-label={t("time.range")}>
      <StepButton icon="left" label={`${t("time.earlier")} ([)`} onClick={() => shift(-1)} />
      <Popover opened={isOpen} onChange={onOpen} position="bottom-end" width={320} trapFocus returnFocus shadow="md">
        <Popover.Target>
          <Button
            variant="default"
            leftSection={<Icon name="clock" sizePx={14} />}
            title={`${instants(range, zone)} ${zoneName(zone, range.toMs)}`}
            aria-expanded={isOpen}
            onClick={() => onOpen(!isOpen)}
          >
            {rangeInWords(text, range, zone, t)}
          </Button>
        </Popover.Target>
        <Popover.Dropdown p="sm">
          <TypedRange onChoose={choose} />
          <div className={classes.presets}>
            {PRESETS.map((preset) => (
              <button
                key={preset}
                type="button"
                className={classes.preset}
                aria-pressed={presetOf(text) === preset}
                onClick={() => choose(lastOf(preset))}
              >
                {amountInWords(preset, t)}
              </button>
            ))}
          </div>
          <div className={classes.zone}>
            <span className="muted">{t("time.zone")}</span>
            <SegmentedControl
              aria-label={t("time.zone")}
              value={zone}
              onChange={(value) => setPreferences({ zone: value === "utc" ? "utc" : "browser" })}
              data={[
                { value: "browser", label: `${t("time.local")} (${zoneName("browser", range.toMs)})` },
                { value: "utc", label: "UTC" },
              ]}
            />
          </div>
          <div className={classes.instants}>{instants(range, zone)}</div>
        </Popover.Dropdown>
      </Popover>
      <StepButton icon="right" label={`${t("time.later")} (])`} onClick={() => shift(1)} />
      <StepButton icon="zoomOut" label={`${t("time.zoomOut")} (-)`} onClick={zoomOut} />
    </div>
  );
}

interface StepProps {
  readonly icon: "left" | "right" | "zoomOut";
  readonly label: string;
  readonly onClick: () => void;
}

function StepButton({ icon, label, onClick }: StepProps) {
  return (
    <Tooltip label={label}>
      <ActionIcon aria-label={label} onClick={onClick}>
        <Icon name={icon} />
      </ActionIcon>
    </Tooltip>
  );
}

function TypedRange({ onChoose }: { readonly onChoose: (text: TimeText) => void }) {
  const t = useT();
  const zone = useZone();
  const [typed, setTyped] = useState("");
  const [isRefused, setRefused] = useState(false);
  return (
    <form
      className={classes.typed}
      onSubmit={(event) => {
        event.preventDefault();
        const text = parseTyped(typed, Date.now(), zone);
        setRefused(text === null);
        if (text !== null) onChoose(text);
      }}
    >
      <TextInput
        data-autofocus
        label={t("time.typed")}
        placeholder={t("time.typedExample")}
        value={typed}
        error={isRefused && t("time.notUnderstood")}
        onChange={(event) => {
          setTyped(event.currentTarget.value);
          setRefused(false);
        }}
      />
      <Button type="submit">{t("time.apply")}</Button>
    </form>
  );
}
