/** A silence to be made or changed: what it matches, how long, why, and which alerts it would hold now. */

import { ActionIcon, Button, Modal, SegmentedControl, Select, Textarea, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useState } from "react";
import { type Silence, type SilenceMatcher, useHeldAlerts, usePutSilence } from "~/api/silences";
import { exact } from "~/format/numbers";
import { dateTime, millisecondsOf } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { ErrorNote, Loading } from "~/parts/states";
import { useZone } from "~/state/preferences";
import classes from "./alerts.module.css";
import { lengthOf } from "./lengths";
import { areWhole, MATCHER_OPS, matcherText, opOf, withOp } from "./matchers";

interface Props {
  /** What the fields begin with; with `silence` that one is changed. */
  readonly first: { readonly matchers: readonly SilenceMatcher[]; readonly silence?: Silence };
  readonly onClose: () => void;
  readonly onDone: (id: string) => void;
}

const LENGTHS = ["30m", "1h", "2h", "4h", "8h", "1d", "3d", "1w"] as const;
const TYPING_MS = 350;
const AUTHOR_KEY = "trilens.silence_author";
const EMPTY: SilenceMatcher = { name: "", value: "", isEqual: true, isRegex: false };

function authorOfBrowser(): string {
  try {
    return localStorage.getItem(AUTHOR_KEY) ?? "";
  } catch {
    return "";
  }
}

function keepAuthor(author: string) {
  try {
    localStorage.setItem(AUTHOR_KEY, author);
  } catch {
    // Storage is forbidden: it is asked for again.
  }
}

export function SilenceForm({ first, onClose, onDone }: Props) {
  const t = useT();
  const zone = useZone();
  const { silence } = first;
  const [matchers, setMatchers] = useState(first.matchers.length === 0 ? [EMPTY] : first.matchers);
  const [length, setLength] = useState<string>(silence === undefined ? "2h" : "");
  const [author, setAuthor] = useState(silence?.createdBy ?? authorOfBrowser());
  const [comment, setComment] = useState(silence?.comment ?? "");
  const [openedMs] = useState(() => Date.now());
  const { mutate, isPending, error } = usePutSilence();
  const lengthMs = lengthOf(length);
  // A silence that has begun keeps its beginning; one that is over begins anew.
  const isAlive = silence !== undefined && silence.status.state !== "expired";
  const startsMs = isAlive ? millisecondsOf(silence.startsAt) : openedMs;
  const endedMs = silence === undefined ? null : millisecondsOf(silence.endsAt);
  const endsMs = lengthMs == null ? endedMs : openedMs + lengthMs;
  const isOver = endsMs !== null && endsMs <= openedMs;
  const isSigned = author.trim() !== "" && comment.trim() !== "";
  const isWhole = areWhole(matchers) && isSigned && lengthMs !== null && endsMs !== null && !isOver;
  const save = () => {
    if (!isWhole) return;
    keepAuthor(author.trim());
    mutate(
      {
        ...(isAlive ? { id: silence.id } : {}),
        ...(silence?.annotations === undefined ? {} : { annotations: silence.annotations }),
        matchers: matchers.map((one) => ({ ...one, name: one.name.trim() })),
        startsAt: new Date(startsMs).toISOString(), endsAt: new Date(endsMs).toISOString(),
        createdBy: author.trim(), comment: comment.trim(),
      },
      { onSuccess: (answer) => onDone(answer.silenceID) },
    );
  };
  return (
    <Modal
      opened onClose={onClose} size="lg" closeButtonProps={{ "aria-label": t("parts.close") }}
      title={t(silence === undefined ? "alerts.newSilence" : isAlive ? "alerts.editSilence" : "alerts.renewSilence")}
    >
      <form
        className={classes.form}
        onSubmit={(event) => {
          event.preventDefault();
          save();
        }}
      >
        <Matchers matchers={matchers} onChange={setMatchers} />
        <div className={classes.formLine} data-middle>
          <SegmentedControl
            aria-label={t("alerts.length")} value={length} data={[...LENGTHS]} onChange={setLength}
          />
          <TextInput
            className={classes.lengthInput} aria-label={t("alerts.lengthTyped")} value={length} placeholder="45m"
            error={lengthMs === null || lengthMs === 0} onChange={(event) => setLength(event.currentTarget.value)}
          />
          <span className="muted">{endsMs === null ? "" : t("alerts.until", { at: dateTime(endsMs, zone) })}</span>
        </div>
        <TextInput
          label={t("alerts.author")} value={author} required withAsterisk={false} autoComplete="name"
          onChange={(event) => setAuthor(event.currentTarget.value)}
        />
        <Textarea
          label={t("alerts.comment")} value={comment} required withAsterisk={false} size="xs" autosize minRows={2} maxRows={5}
          data-autofocus onChange={(event) => setComment(event.currentTarget.value)}
        />
        <Held matchers={matchers} />
        {error !== null && <ErrorNote error={error} />}
        <div className={classes.formEnd}>
          <Button variant="default" onClick={onClose}>{t("parts.cancel")}</Button>
          <Button type="submit" loading={isPending} disabled={!isWhole}>
            {t(silence === undefined ? "alerts.silenceNow" : "alerts.save")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

interface MatchersProps {
  readonly matchers: readonly SilenceMatcher[];
  readonly onChange: (matchers: readonly SilenceMatcher[]) => void;
}

function Matchers({ matchers, onChange }: MatchersProps) {
  const t = useT();
  const put = (at: number, changed: SilenceMatcher) =>
    onChange(matchers.map((one, index) => (index === at ? changed : one)));
  return (
    <fieldset className={classes.matchers}>
      <legend>{t("alerts.matchers")}</legend>
      {matchers.map((one, at) => (
        <div key={at} className={classes.matcher}>
          <TextInput
            aria-label={t("alerts.matcherName", { n: at + 1 })} placeholder={t("alerts.label")} value={one.name}
            onChange={(event) => put(at, { ...one, name: event.currentTarget.value })}
          />
          <Select
            aria-label={t("alerts.matcherOp", { n: at + 1 })} data={[...MATCHER_OPS]} value={opOf(one)} allowDeselect={false}
            onChange={(op) => put(at, withOp(one, MATCHER_OPS.find((known) => known === op) ?? "="))}
          />
          <TextInput
            aria-label={t("alerts.matcherValue", { n: at + 1 })} placeholder={t("alerts.value")} value={one.value}
            onChange={(event) => put(at, { ...one, value: event.currentTarget.value })}
          />
          <ActionIcon
            aria-label={t("alerts.removeMatcher", { n: at + 1 })} disabled={matchers.length === 1}
            onClick={() => onChange(matchers.filter((_, index) => index !== at))}
          >
            <Icon name="close" sizePx={14} />
          </ActionIcon>
        </div>
      ))}
      <Button
        variant="subtle" size="compact-xs" leftSection={<Icon name="plus" sizePx={13} />}
        onClick={() => onChange([...matchers, EMPTY])}
      >
        {t("alerts.addMatcher")}
      </Button>
    </fieldset>
  );
}

const HELD_SHOWN = 6;

/** Which alerts that fire now it would hold, as the server reads its matchers. */
export function Held({ matchers }: { readonly matchers: readonly SilenceMatcher[] }) {
  const t = useT();
  const named = matchers.filter((one) => one.name.trim() !== "").map(matcherText);
  const [settled] = useDebouncedValue(JSON.stringify(named), TYPING_MS);
  const asked = useHeldAlerts(JSON.parse(settled) as string[], areWhole(matchers));
  if (!areWhole(matchers)) return <p className={classes.held}>{t("alerts.matchersMissing")}</p>;
  if (asked.error !== null) return <ErrorNote error={asked.error} />;
  if (asked.data === undefined) return <Loading heightPx={20} lines={1} />;
  const shown = asked.data.slice(0, HELD_SHOWN);
  return (
    <div className={classes.held} role="status" aria-label={t("alerts.holds")}>
      <strong>{t("alerts.holdsCount", { count: exact(asked.data.length), n: asked.data.length })}</strong>
      <ul>
        {shown.map((one) => {
          const { alertname = "", ...labels } = one.labels;
          const text = Object.entries(labels).map(([name, value]) => `${name}=${value}`).join(" ");
          return <li key={one.fingerprint} className="cut" title={text}><b>{alertname}</b> <span className="muted">{text}</span></li>;
        })}
      </ul>
      {asked.data.length > shown.length && <span className="muted">{t("parts.others", { n: asked.data.length - shown.length })}</span>}
    </div>
  );
}
