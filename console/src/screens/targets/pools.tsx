/** Scrape pools: how many of their targets are well, and what discovery could not do. */

import { useMemo } from "react";
import type { ScrapePool } from "~/api/targets";
import { duration } from "~/format/durations";
import { exact } from "~/format/numbers";
import { type Translate, useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { type Column, TableView } from "~/parts/table_view";
import classes from "./targets.module.css";

const ROWS_MAX = 6;
const ERRORS_SHOWN = 4;

interface Props {
  readonly pools: readonly ScrapePool[];
  readonly selected: string | undefined;
  readonly onSelect: (pool: string | undefined) => void;
}

export function Pools({ pools, selected, onSelect }: Props) {
  const t = useT();
  const columns = useMemo(() => columnsOf(t), [t]);
  const shown = selected === undefined ? pools : pools.filter((one) => one.name === selected);
  return (
    <>
      <TableView
        label={t("targets.pools")} columns={columns} rows={pools} rowsMax={ROWS_MAX}
        rowKey={(row) => row.name} selectedKey={selected} firstSort={{ column: "down", isDescending: true }}
        onOpen={(row) => onSelect(row.name === selected ? undefined : row.name)}
      />
      <PoolErrors pools={shown} />
    </>
  );
}

function columnsOf(t: Translate): Column<ScrapePool>[] {
  const number = (id: "up" | "down" | "unknown" | "dropped", tone: string | undefined): Column<ScrapePool> => ({
    id, label: t(`targets.state.${id}`), width: "minmax(86px, 0.6fr)", isNumber: true, sortBy: (row) => row[id],
    cell: (row) => <span className={row[id] > 0 ? tone : "muted"}>{exact(row[id])}</span>,
  });
  return [
    {
      id: "name", label: t("targets.pool"), width: "minmax(10rem, 1.6fr)", sortBy: (row) => row.name,
      cell: (row) => <span title={row.name}>{row.name}</span>,
    },
    number("up", undefined),
    number("down", classes.bad),
    number("unknown", undefined),
    number("dropped", undefined),
    {
      id: "every", label: t("targets.interval"), width: "minmax(76px, 0.6fr)", isNumber: true,
      sortBy: (row) => row.interval_ms, cell: (row) => duration(row.interval_ms * 1e6),
    },
    {
      id: "errors", label: t("targets.errors"), width: "minmax(76px, 0.6fr)", isNumber: true,
      sortBy: (row) => row.error_count,
      cell: (row) => <span className={row.error_count > 0 ? classes.warned : "muted"}>{exact(row.error_count)}</span>,
    },
    {
      id: "discovery", label: t("targets.discovery"), width: "minmax(12rem, 2.4fr)",
      cell: (row) => <span className="muted" title={row.discoveries.join("\n")}>{row.discoveries.join(" · ")}</span>,
    },
  ];
}

/** Whole texts: why a target is not there is told nowhere else. */
function PoolErrors({ pools }: { readonly pools: readonly ScrapePool[] }) {
  const t = useT();
  const all = pools.flatMap((pool) => pool.errors.map((one) => ({ ...one, pool: pool.name })));
  if (all.length === 0) return null;
  const count = pools.reduce((sum, pool) => sum + pool.error_count, 0);
  const first = all.slice(0, ERRORS_SHOWN);
  return (
    <ul className={classes.poolErrors} aria-label={t("targets.discoveryErrors")}>
      {first.map((one, at) => (
        <li key={at}>
          <Icon name="warning" sizePx={14} />
          <span>
            <strong>{one.pool}</strong>
            {one.source !== "" && <span className="muted"> {one.source}</span>}: <span className="mono">{one.error}</span>
          </span>
        </li>
      ))}
      {count > first.length && <li className="muted">{t("targets.moreErrors", { n: count - first.length })}</li>}
    </ul>
  );
}
