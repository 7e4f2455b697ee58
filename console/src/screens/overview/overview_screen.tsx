/** Is everything all right? Problems first, then what arrives, the hosts, logs, slow operations. */

import { Link } from "@tanstack/react-router";
import { useOverview } from "~/api/overview";
import { SeverityBars } from "~/charts/severity_bars";
import { duration } from "~/format/durations";
import { useT } from "~/i18n/use_t";
import { Panel } from "~/parts/panel";
import { Prose } from "~/parts/prose";
import { Answered, Empty, Loading } from "~/parts/states";
import { Screen } from "~/shell/screen";
import { useTimeRange } from "~/state/use_time_range";
import { Arriving } from "./arriving";
import { Firing } from "./firing";
import { HowToSend } from "./how_to_send";
import { Hosts } from "./hosts";
import classes from "./overview.module.css";
import { Problems } from "./problems";
import { RecentErrors } from "./recent_errors";
import { SlowestOperations } from "./slowest_operations";

export function OverviewScreen() {
  const t = useT();
  const { range } = useTimeRange();
  const asked = useOverview(range);
  const isOld = asked.isPlaceholderData;
  return (
    <Screen title={t("overview.title")}>
      <Answered asked={asked} loading={<Waiting />}>
        {(answer) => (
          <div className={classes.overview}>
            <Firing />
            <Problems problems={answer.problems} hasData={answer.arriving.some((one) => one.total > 0)} />
            <Arriving arriving={answer.arriving} volume={answer.log_volume.buckets} />
            <Panel title={t("overview.logVolume")} note={t("overview.perBar", { step: duration(answer.log_volume.step_ms * 1e6) })}>
              {answer.log_volume.buckets.every((one) => Object.keys(one.counts).length === 0) ? (
                <Empty title={t("overview.noLogs")} icon="logs">
                  <Prose text={t("overview.noLogsWhat")} />
                  <HowToSend what="otlp" />
                </Empty>
              ) : (
                <SeverityBars
                  label={t("overview.logVolume")}
                  buckets={answer.log_volume.buckets}
                  stepMs={answer.log_volume.step_ms}
                  isOld={isOld}
                />
              )}
            </Panel>
            <Hosts hosts={answer.hosts} />
            <div className={classes.pair}>
              <Panel
                title={t("overview.slowest")} isFlush
                actions={
                  <Link to="/traces" search={{ view: "operations" }}>
                    {t("overview.allOperations")}
                  </Link>
                }
              >
                <SlowestOperations operations={answer.slowest_operations} isOld={isOld} />
              </Panel>
              <Panel
                title={t("overview.recentErrors")} isFlush
                actions={
                  <Link to="/logs" search={{ filter: [{ field: "severity", op: ">=", value: "ERROR" }] }}>
                    {t("overview.allErrors")}
                  </Link>
                }
              >
                <RecentErrors rows={answer.recent_errors} isOld={isOld} />
              </Panel>
            </div>
          </div>
        )}
      </Answered>
    </Screen>
  );
}

function Waiting() {
  return (
    <div className={classes.overview}>
      <Loading heightPx={52} />
      <Loading heightPx={104} />
      <Loading heightPx={220} />
      <Loading heightPx={170} />
      <Loading heightPx={310} />
    </div>
  );
}
