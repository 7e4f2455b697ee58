/** What arrives from where, what could not be read, and how the program itself is doing. */

import { getRouteApi } from "@tanstack/react-router";
import { useDeadLetters, useSources, useStatus } from "~/api/sources";
import { useT } from "~/i18n/use_t";
import { Panel } from "~/parts/panel";
import { Answered, Loading } from "~/parts/states";
import { Screen } from "~/shell/screen";
import { useTimeRange } from "~/state/use_time_range";
import { DeadLetters } from "./dead_letters";
import { Formats } from "./formats";
import { LetterDetails } from "./letter_details";
import { Listening, Retention, Tables } from "./program";
import { Senders } from "./senders";
import classes from "./sources.module.css";
import { StateTiles } from "./state_tiles";

const route = getRouteApi("/sources");

export function SourcesScreen() {
  const t = useT();
  const { range } = useTimeRange();
  const sources = useSources(range);
  const status = useStatus();
  const letters = useDeadLetters();
  const { letter: letterId } = route.useSearch();
  const navigate = route.useNavigate();
  const select = (letter: string | undefined) =>
    void navigate({ replace: true, search: (old) => ({ ...old, letter }) });
  const chosen = letters.data?.dead_letters.find((one) => one.id === letterId);
  return (
    <Screen title={t("sources.title")} isFilling>
      <div className={classes.split}>
        <div className={classes.content}>
          <Answered asked={sources} loading={<Waiting />}>
            {(answer) => (
              <>
                <StateTiles sources={answer} startedAt={status.data?.started_at} />
                <Panel title={t("sources.formats")} note={t("sources.formatsNote")} isFlush>
                  <Formats formats={answer.formats} isOld={sources.isPlaceholderData} />
                </Panel>
                <Answered asked={letters} loading={<Loading heightPx={120} />}>
                  {(found) => <DeadLetters letters={found} selected={letterId} onSelect={select} />}
                </Answered>
                <Senders senders={answer.senders} isOld={sources.isPlaceholderData} />
              </>
            )}
          </Answered>
          <div className={classes.three}>
            <Answered asked={status} loading={<Loading heightPx={140} />}>
              {(answer) => (
                <>
                  <Listening listening={answer.listening} />
                  <Retention retention={answer.retention} />
                </>
              )}
            </Answered>
            {sources.data !== undefined && <Tables tables={sources.data.engine.tables} />}
          </div>
        </div>
        {chosen !== undefined && <LetterDetails letter={chosen} onClose={() => select(undefined)} />}
      </div>
    </Screen>
  );
}

function Waiting() {
  return (
    <>
      <Loading heightPx={84} />
      <Loading heightPx={180} />
      <Loading heightPx={300} />
    </>
  );
}
