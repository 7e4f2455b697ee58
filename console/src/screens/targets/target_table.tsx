/** Targets that are scraped: how the last scrape of each went. */

import { useMemo } from "react";
import type { Target } from "~/api/targets";
import { duration } from "~/format/durations";
import { bytes, count, exact } from "~/format/numbers";
import { dateTime, type Zone } from "~/format/times";
import { type Translate, useT } from "~/i18n/use_t";
import { LabelText } from "~/parts/label_text";
import { Empty } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { ago } from "~/shell/time_words";
import { useZone } from "~/state/preferences";
import { HealthMark } from "./health_mark";
import classes from "./targets.module.css";

/** A scrape that takes more of its timeout will soon fail. */
const SLOW = 0.8;
const ORDER = { down: 0, unknown: 1, up: 2 } as const;

interface Props {
  readonly targets: readonly Target[];
  readonly selected: string | undefined;
  readonly onOpen: (target: Target) => void;
  /** When the targets were told. */
  readonly atMs: number;
}

export function TargetTable({ targets, selected, onOpen, atMs }: Props) {
  const t = useT();
  const zone = useZone();
  const hasErrors = targets.some((one) => one.error !== "");
  const columns = useMemo(() => columnsOf(t, zone, atMs, hasErrors), [t, zone, atMs, hasErrors]);
  return (
    <TableView
      label={t("targets.targets")} columns={columns} rows={targets} isMain
      rowKey={keyOf} selectedKey={selected} onOpen={onOpen}
      firstSort={{ column: "state", isDescending: false }}
      empty={<Empty title={t("targets.noMatch")} icon="search" />}
    />
  );
}

/** Relabelling may make one target of two pools. */
export function keyOf({ pool, id }: { readonly pool: string; readonly id: string }): string {
  return `${pool} ${id}`;
}

function columnsOf(t: Translate, zone: Zone, atMs: number, hasErrors: boolean): Column<Target>[] {
  const error: Column<Target> = {
    id: "error", label: t("targets.lastError"), width: "minmax(13rem, 2.6fr)", sortBy: (row) => row.error,
    cell: (row) => <span className={classes.errorCell} title={row.error}>{shortError(row)}</span>,
  };
  return [
    {
      id: "state", label: t("targets.state"), width: "104px", sortBy: (row) => ORDER[row.health],
      cell: (row) => <HealthMark health={row.health} />,
    },
    {
      id: "url", label: t("targets.endpoint"), width: "minmax(13rem, 1.6fr)", sortBy: (row) => row.url,
      cell: (row) => <span title={row.url}>{row.url.replace(/^http:\/\//, "")}</span>,
    },
    {
      id: "pool", label: t("targets.pool"), width: "minmax(6rem, 0.7fr)", sortBy: (row) => row.pool,
      cell: (row) => <span title={row.pool}>{row.pool}</span>,
    },
    {
      id: "labels", label: t("targets.labels"), width: "minmax(10rem, 1.8fr)",
      sortBy: (row) => JSON.stringify(row.labels),
      cell: (row) => <LabelText labels={row.labels} without={toldBefore(row)} />,
    },
    ...(hasErrors ? [error] : []),
    {
      id: "last", label: t("targets.lastScrape"), width: "118px", isNumber: true, sortBy: (row) => row.last_scrape_ms,
      cell: (row) =>
        row.last_scrape_ms === null ? (
          <span className="muted">{t("targets.never")}</span>
        ) : (
          <span title={dateTime(row.last_scrape_ms, zone)}>{ago(row.last_scrape_ms, atMs, t)}</span>
        ),
    },
    {
      id: "duration", label: t("targets.duration"), width: "86px", isNumber: true, sortBy: (row) => row.duration_ms,
      cell: (row) => <Duration target={row} />,
    },
    {
      id: "samples", label: t("targets.samples"), width: "92px", isNumber: true, sortBy: (row) => row.samples_kept,
      cell: (row) => <Samples target={row} />,
    },
    {
      id: "bytes", label: t("targets.size"), width: "84px", isNumber: true, sortBy: (row) => row.body_bytes,
      cell: (row) => <span title={`${exact(row.body_bytes)} B`}>{bytes(row.body_bytes)}</span>,
    },
    {
      id: "missed", label: t("targets.missed"), width: "76px", isNumber: true, sortBy: (row) => row.missed,
      cell: (row) => <span className={row.missed > 0 ? classes.warned : "muted"}>{exact(row.missed)}</span>,
    },
  ];
}

/** Labels that the endpoint and the pool say already. */
function toldBefore({ labels, url, pool }: Target): string[] {
  const isAddress = labels.instance !== undefined && url.includes(`//${labels.instance}/`);
  return [...(isAddress ? ["instance"] : []), ...(labels.job === pool ? ["job"] : [])];
}

/** Without the endpoint, which is beside it; whole on hover and in the details. */
function shortError({ error, url }: Target): string {
  return error.replace(`Get "${url}": `, "");
}

function Duration({ target }: { readonly target: Target }) {
  const t = useT();
  if (target.scrapes === 0) return <span className="muted">–</span>;
  const isSlow = target.duration_ms > SLOW * target.timeout_ms;
  return (
    <span
      className={isSlow ? classes.warned : undefined}
      title={t("targets.timeoutOf", { timeout: duration(target.timeout_ms * 1e6) })}
    >
      {duration(target.duration_ms * 1e6)}
    </span>
  );
}

function Samples({ target }: { readonly target: Target }) {
  const t = useT();
  const { samples_kept: kept, samples_scraped: scraped } = target;
  return (
    <span title={t("targets.keptOf", { kept: exact(kept), scraped: exact(scraped) })}>
      {kept === scraped ? count(kept) : `${count(kept)} / ${count(scraped)}`}
    </span>
  );
}
