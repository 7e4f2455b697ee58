/** Which targets are shown: by state, by pool, by text. */

import { SegmentedControl, Select, TextInput } from "@mantine/core";
import type { ScrapePool } from "~/api/targets";
import { exact } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { useTyped } from "~/state/use_typed";
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
  const [typed, type] = useTyped(search.match ?? "", (match) => onChange({ match: match === "" ? undefined : match }));
  const among = search.pool === undefined ? pools : pools.filter((one) => one.name === search.pool);
  // One that the file does not have any more is a filter too.
  const names = [...new Set([...pools.map((one) => one.name), ...(search.pool === undefined ? [] : [search.pool])])];
  const total = (state: (typeof TARGET_STATES)[number]) => among.reduce((sum, one) => sum + one[state], 0);
  const scraped = total("up") + total("down") + total("unknown");
  return (
    <div className={classes.toolbar}>
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
      <Select
        className={classes.poolChoice} aria-label={t("targets.pool")} placeholder={t("targets.allPools")}
        data={names} value={search.pool ?? null} searchable clearable limit={200}
        onChange={(pool) => onChange({ pool: pool ?? undefined })}
      />
      <TextInput
        data-search className={classes.match} aria-label={t("targets.match")} placeholder={t("targets.match")}
        leftSection={<Icon name="search" sizePx={14} />}
        value={typed} onChange={(event) => type(event.currentTarget.value)}
      />
    </div>
  );
}
