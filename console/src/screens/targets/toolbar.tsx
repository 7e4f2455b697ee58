/** Which targets are shown: by state, by pool, by text. */

import { SegmentedControl } from "@mantine/core";
import type { ScrapePool } from "~/api/targets";
import { exact } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { FilterBar } from "~/parts/filter_bar";
import { TARGET_STATES, type TargetsSearch } from "./search";
import classes from "./targets.module.css";

interface Props {
  readonly pools: readonly ScrapePool[];
  readonly search: TargetsSearch;
  readonly onChange: (changed: Partial<TargetsSearch>) => void;
}

const ALL = "all";

export function Toolbar({ pools, search, onChange }: Props) {
  const t = useT();
  const among = search.pool === undefined ? pools : pools.filter((one) => one.name === search.pool);
  // One that the file does not have any more is a filter too.
  const names = [...new Set([...pools.map((one) => one.name), ...(search.pool === undefined ? [] : [search.pool])])];
  const total = (state: (typeof TARGET_STATES)[number]) => among.reduce((sum, one) => sum + one[state], 0);
  const scraped = total("up") + total("down") + total("unknown");
  const states = (
    <div className={classes.states}>
      <SegmentedControl
        aria-label={t("targets.state")}
        value={search.state ?? ALL}
        onChange={(value) => onChange({ state: TARGET_STATES.find((one) => one === value) })}
        data={[
          { value: ALL, label: `${t("targets.all")} ${exact(scraped)}` },
          ...TARGET_STATES.map((one) => ({ value: one, label: `${t(`targets.state.${one}`)} ${exact(total(one))}` })),
        ]}
      />
    </div>
  );
  return (
    <FilterBar
      begin={states} hint={t("targets.match")}
      match={search.match ?? ""} onMatch={(match) => onChange({ match })}
      choices={[{
        label: t("targets.pool"), value: search.pool, onChange: (pool) => onChange({ pool }),
        choices: names.map((one) => ({ value: one, label: one })),
      }]}
    />
  );
}
