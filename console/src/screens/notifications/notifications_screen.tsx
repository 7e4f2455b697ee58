/** Who is told of alerts, what became of it, what stands there to be told, and by which routes. */

import { SegmentedControl, TextInput } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { type NotificationsOverview, useNotifications } from "~/api/notifications";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { Panel } from "~/parts/panel";
import { Answered, Loading } from "~/parts/states";
import { Screen } from "~/shell/screen";
import { useTyped } from "~/state/use_typed";
import { useTimeRange } from "~/state/use_time_range";
import { Attempts } from "./attempts";
import { Groups } from "./groups";
import { NoConfig } from "./no_config";
import classes from "./notifications.module.css";
import { Receivers } from "./receivers";
import { Routes } from "./routes";
import { type NotificationsSearch, type View, VIEWS } from "./search";

const route = getRouteApi("/notifications");

export function NotificationsScreen() {
  const t = useT();
  const { isLive } = useTimeRange();
  const asked = useNotifications(isLive);
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = (changed: Partial<NotificationsSearch>) =>
    void navigate({ replace: true, search: (old) => ({ ...old, ...changed }) });
  return (
    <Screen title={t("notifications.title")} isFilling>
      <div className={classes.content}>
        <Answered asked={asked} loading={<Waiting />}>
          {(answer) =>
            answer.file === "" ? (
              <NoConfig />
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
  const view: View = search.view ?? "attempts";
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
      <Toolbar view={view} search={search} onChange={onChange} />
      {view === "attempts" && <Attempts search={search} onChange={onChange} />}
      {view === "groups" && <Groups search={search} onChange={onChange} />}
      {view === "routes" && <Routes search={search} onChange={onChange} />}
    </>
  );
}

interface ToolbarProps {
  readonly view: View;
  readonly search: NotificationsSearch;
  readonly onChange: (changed: Partial<NotificationsSearch>) => void;
}

function Toolbar({ view, search, onChange }: ToolbarProps) {
  const t = useT();
  const [typed, type] = useTyped(search.match ?? "", (match) => onChange({ match: match === "" ? undefined : match }));
  return (
    <div className={classes.toolbar}>
      <SegmentedControl
        aria-label={t("notifications.view")} value={view}
        onChange={(value) => onChange({ view: VIEWS.find((one) => one === value), row: undefined })}
        data={VIEWS.map((one) => ({ value: one, label: t(`notifications.${one}`) }))}
      />
      {view !== "routes" && (
        <>
          <TextInput
            data-search className={classes.match} aria-label={t("notifications.match")} placeholder={t("notifications.match")}
            leftSection={<Icon name="search" sizePx={14} />}
            value={typed} onChange={(event) => type(event.currentTarget.value)}
          />
          {search.receiver !== undefined && (
            <span className={classes.chip}>
              {t("notifications.onlyReceiver", { name: search.receiver })}
              <button
                type="button" aria-label={t("parts.removeFilter", { filter: search.receiver })}
                onClick={() => onChange({ receiver: undefined })}
              >
                <Icon name="close" sizePx={12} />
              </button>
            </span>
          )}
        </>
      )}
    </div>
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
