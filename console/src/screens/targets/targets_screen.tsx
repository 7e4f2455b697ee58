/** What the server scrapes, how that goes, and what relabelling made of what was discovered. */

import { getRouteApi } from "@tanstack/react-router";
import { useMemo } from "react";
import { type Targets, useDroppedTargets, useTargets } from "~/api/targets";
import { exact } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { NoConfig } from "~/parts/no_config";
import { Panel } from "~/parts/panel";
import { Answered, Empty, Loading } from "~/parts/states";
import { Screen } from "~/shell/screen";
import { useTimeRange } from "~/state/use_time_range";
import { DroppedTable } from "./dropped_table";
import { isAmong } from "./matching";
import { Pools } from "./pools";
import type { TargetsSearch } from "./search";
import { TargetDetails } from "./target_details";
import { keyOf, TargetTable } from "./target_table";
import classes from "./targets.module.css";
import { Toolbar } from "./toolbar";

const route = getRouteApi("/targets");

const EXAMPLE = `scrape_configs:
- job_name: node
  static_configs:
  - targets: ["10.0.0.1:9100"]`;

export function TargetsScreen() {
  const t = useT();
  const { isLive } = useTimeRange();
  const asked = useTargets(isLive);
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = (changed: Partial<TargetsSearch>) =>
    void navigate({ replace: true, search: (old) => ({ ...old, ...changed }) });
  const { of, target } = search;
  return (
    <Screen title={t("targets.title")} isFilling>
      <div className={classes.split}>
        <div className={classes.content}>
          <Answered asked={asked} loading={<Waiting />}>
            {(answer) =>
              answer.file === "" ? (
                <NoConfig
                  title={t("targets.noConfig")} icon="targets" what={t("targets.noConfigWhat")}
                  setting="--prometheus-config" file="prometheus.yml" example={EXAMPLE}
                />
              ) : (
                <Found answer={answer} atMs={asked.dataUpdatedAt} search={search} onChange={change} />
              )
            }
          </Answered>
        </div>
        {of !== undefined && target !== undefined && (
          <TargetDetails
            key={`${of} ${target}`} pool={of} id={target}
            onClose={() => change({ of: undefined, target: undefined })}
          />
        )}
      </div>
    </Screen>
  );
}

interface FoundProps {
  readonly answer: Targets;
  readonly atMs: number;
  readonly search: TargetsSearch;
  readonly onChange: (changed: Partial<TargetsSearch>) => void;
}

function Found({ answer, atMs, search, onChange }: FoundProps) {
  const t = useT();
  const isDropped = search.state === "dropped";
  const shown = useMemo(() => answer.targets.filter((one) => isAmong(one, search)), [answer, search]);
  if (answer.pools.length === 0) {
    return <Empty title={t("targets.noPools")} icon="targets">{t("targets.noPoolsWhat", { file: answer.file })}</Empty>;
  }
  const open = (row: { readonly pool: string; readonly id: string }) => onChange({ of: row.pool, target: row.id });
  const selected = selectedKey(search);
  const note =
    answer.targets.length < answer.total
      ? t("targets.firstOf", { n: exact(answer.targets.length), total: exact(answer.total) })
      : t("targets.shownOf", { n: exact(shown.length), total: exact(answer.total) });
  return (
    <>
      <Panel
        title={t("targets.pools")} isFlush className={classes.pools}
        note={<span title={answer.file}>{answer.file}</span>}
      >
        <Pools pools={answer.pools} selected={search.pool} onSelect={(pool) => onChange({ pool })} />
      </Panel>
      <Toolbar pools={answer.pools} search={search} onChange={onChange} />
      {isDropped ? (
        <Dropped search={search} onOpen={open} />
      ) : (
        <Panel title={t("targets.targets")} note={note} isFlush className={classes.table}>
          <TargetTable targets={shown} selected={selected} onOpen={open} atMs={atMs} />
        </Panel>
      )}
    </>
  );
}

function selectedKey({ of, target }: TargetsSearch): string | undefined {
  return of === undefined || target === undefined ? undefined : keyOf({ pool: of, id: target });
}

interface DroppedProps {
  readonly search: TargetsSearch;
  readonly onOpen: (row: { readonly pool: string; readonly id: string }) => void;
}

function Dropped({ search, onOpen }: DroppedProps) {
  const t = useT();
  const { isLive } = useTimeRange();
  const asked = useDroppedTargets(search.pool, search.match, { isEnabled: true, isLive });
  return (
    <Answered asked={asked} loading={<Loading heightPx={200} />}>
      {(dropped) => (
        <Panel
          title={t("targets.droppedTargets")} isFlush className={classes.table}
          note={t("targets.droppedNote", {
            n: exact(dropped.targets.length), found: exact(dropped.found), total: exact(dropped.total),
          })}
        >
          <DroppedTable
            dropped={dropped} isOld={asked.isPlaceholderData} selected={selectedKey(search)} onOpen={onOpen}
          />
        </Panel>
      )}
    </Answered>
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
