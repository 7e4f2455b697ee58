/** Targets that were found and that relabelling leaves out. */

import { useMemo } from "react";
import type { DroppedTarget, DroppedTargets } from "~/api/targets";
import { useT } from "~/i18n/use_t";
import { LabelText } from "~/parts/label_text";
import { Empty } from "~/parts/states";
import { type Column, TableView } from "~/parts/table_view";
import { keyOf } from "./target_table";

interface Props {
  readonly dropped: DroppedTargets;
  readonly isOld: boolean;
  readonly selected: string | undefined;
  readonly onOpen: (target: DroppedTarget) => void;
}

const TOLD: readonly string[] = [
  "__address__", "__metrics_path__", "__scheme__", "__scrape_interval__", "__scrape_timeout__", "job",
];

export function DroppedTable({ dropped, isOld, selected, onOpen }: Props) {
  const t = useT();
  const columns = useMemo<Column<DroppedTarget>[]>(
    () => [
      { id: "pool", label: t("targets.pool"), width: "minmax(8rem, 1fr)", sortBy: (row) => row.pool, cell: (row) => row.pool },
      {
        id: "address", label: t("targets.address"), width: "minmax(10rem, 1.2fr)", sortBy: (row) => row.address,
        cell: (row) => <span title={row.address}>{row.address}</span>,
      },
      {
        id: "labels", label: t("targets.discovered"), width: "minmax(14rem, 5fr)",
        cell: (row) => <LabelText labels={row.labels} without={TOLD} />,
      },
    ],
    [t],
  );
  return (
    <TableView
      label={t("targets.droppedTargets")} columns={columns} rows={dropped.targets} isMain isOld={isOld}
      rowKey={keyOf} selectedKey={selected} onOpen={onOpen}
      empty={<Empty title={t(dropped.kept === 0 ? "targets.noDropped" : "targets.noMatch")} icon="info" />}
    />
  );
}
