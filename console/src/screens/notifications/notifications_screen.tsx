/** Who is told of alerts, what became of it, what stands there to be told, and by which routes. */

import { SegmentedControl } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { type NotificationsOverview, RESULTS, useNotifications } from "~/api/notifications";
import { useT } from "~/i18n/use_t";
import { FilterBar } from "~/parts/filter_bar";
import { NoConfig } from "~/parts/no_config";
import { Panel } from "~/parts/panel";
import { Answered, Loading } from "~/parts/states";
import { Screen } from "~/shell/screen";
import { useTimeRange } from "~/state/use_time_range";
import { Attempts } from "./attempts";
import { Groups } from "./groups";
import classes from "./notifications.module.css";
import { Receivers } from "./receivers";
import { Routes } from "./routes";
import { type NotificationsSearch, VIEWS } from "./search";

const route = getRouteApi("/notifications");

const EXAMPLE = `route: {receiver: ops, group_by: [alertname, namespace]}
receivers:
- name: ops
  webhook_configs: [{url: "http://example.org/hook"}]`;

export function NotificationsScreen() {
  const t = useT();
  const { isLive } = useTimeRange();
  const asked = useNotifications(isLive);
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = (changed: Partial<NotificationsSearch>) =>
    void navigate({ replace: true, search: (old) => ({ ...old, ...changed }) });
  const views = (
    <SegmentedControl
      size="xs" aria-label={t("notifications.view")} value={search.view ?? "attempts"}
      onChange={(value) =>
        change({ view: VIEWS.find((one) => one === value && one !== "attempts"), row: undefined, result: undefined })}
      data={VIEWS.map((one) => ({ value: one, label: t(`notifications.${one}`) }))}
    />
  );
  const hasConfig = asked.data !== undefined && asked.data.file !== "";
  // The header of a narrow window has no room for it.
  return (
    <Screen
      title={t("notifications.title")} isFilling
      head={hasConfig && <span className={classes.headViews}>{views}</span>}
    >
      <div className={classes.content}>
        {hasConfig && <div className={classes.bodyViews}>{views}</div>}
        <Answered asked={asked} loading={<Waiting />}>
          {(answer) =>
            answer.file === "" ? (
              <NoConfig
                title={t("notifications.noConfig")} icon="notifications" what={t("notifications.noConfigWhat")}
                setting="--alertmanager-config" file="alertmanager.yml" example={EXAMPLE}
              />
            ) : (
              <Found answer={answer} atMs={asked.dataUpdatedAt} search={search} onChange={change} />
            )
          }
        </Answered>
      </div>
    </Screen>
  );
}

interface FoundProps {
  readonly answer: NotificationsOverview;
  readonly atMs: number;
  readonly search: NotificationsSearch;
  readonly onChange: (changed: Partial<NotificationsSearch>) => void;
}

function Found({ answer, atMs, search, onChange }: FoundProps) {
  const t = useT();
  const view = search.view ?? "attempts";
  return (
    <>
      <Panel
        title={t("notifications.receivers")} isFlush className={classes.receivers}
        note={<span title={answer.file}>{answer.file}</span>}
      >
        <Receivers
          receivers={answer.receivers} selected={search.receiver} atMs={atMs}
          onSelect={(receiver) => onChange({ receiver })}
        />
      </Panel>
      {view !== "routes" && <Filters answer={answer} search={search} onChange={onChange} />}
      {view === "attempts" && <Attempts search={search} onChange={onChange} />}
      {view === "groups" && <Groups search={search} onChange={onChange} />}
      {view === "routes" && <Routes search={search} onChange={onChange} />}
    </>
  );
}

type FilterProps = Pick<FoundProps, "answer" | "search" | "onChange">;

function Filters({ answer, search, onChange }: FilterProps) {
  const t = useT();
  const { receiver, result } = search;
  const names = answer.receivers.map((one) => one.name);
  // One that the file does not have any more is a filter too.
  const known = receiver === undefined || names.includes(receiver) ? names : [...names, receiver];
  const results = {
    label: t("notifications.result"), value: result,
    choices: RESULTS.map((one) => ({ value: one, label: t(`notifications.result.${one}`) })),
    onChange: (value: string | undefined) => onChange({ result: RESULTS.find((one) => one === value) }),
  };
  return (
    <FilterBar
      match={search.match ?? ""} hint={t("notifications.match")} onMatch={(match) => onChange({ match })}
      choices={[
        ...(search.view === undefined || search.view === "attempts" ? [results] : []),
        {
          label: t("notifications.receiver"), value: receiver, onChange: (value) => onChange({ receiver: value }),
          choices: known.map((one) => ({ value: one, label: one })),
        },
      ]}
    />
  );
}

function Waiting() {
  return (
    <>
      <Loading heightPx={160} />
      <Loading heightPx={32} />
      <Loading heightPx={360} />
    </>
  );
}
