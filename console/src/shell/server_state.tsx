/** Whether the server answers and is ready, always in sight; a note when it is not. */

import { useStatus } from "~/api/sources";
import { useT, type WordKey } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import classes from "./shell.module.css";

type State = "ready" | "starting" | "engineDown" | "unreachable";

function useServer(): { state: State | null; version: string } {
  const { data, error } = useStatus();
  const version = data?.version ?? "";
  if (error !== null) return { state: "unreachable", version };
  if (data === undefined) return { state: null, version };
  if (!data.engine.ready) return { state: "engineDown", version };
  return { state: data.ready ? "ready" : "starting", version };
}

const WORDS = {
  ready: "shell.ready",
  starting: "shell.starting",
  engineDown: "shell.engineDown",
  unreachable: "shell.unreachable",
} as const satisfies Readonly<Record<State, WordKey>>;

export function ServerState() {
  const t = useT();
  const { state, version } = useServer();
  const word = state === null ? "" : t(WORDS[state]);
  return (
    <div className={classes.server} data-state={state} role="status" title={`Trilens ${version} ${word}`}>
      <span className={classes.serverMark} />
      <span className={classes.word}>
        {word} <span className="muted">{version}</span>
      </span>
    </div>
  );
}

export function ServerNote() {
  const t = useT();
  const { state } = useServer();
  if (state === null || state === "ready") return null;
  return (
    <div className={classes.note} role="alert">
      <Icon name="warning" />
      {t(state === "unreachable" ? "shell.unreachableLong" : "shell.notReadyLong")}
    </div>
  );
}
