/** The line that the address names: from the list, or asked for when it is not there. */

import type { LogRow } from "~/api/logs";
import { useLogContext } from "~/api/logs";
import { useT } from "~/i18n/use_t";
import { Drawer } from "~/parts/drawer";
import { Answered, Loading } from "~/parts/states";
import type { FieldActions } from "./field_table";
import { RowDetails } from "./row_details";
import type { DetailTab } from "./search";
import { useLogsAddress } from "./use_logs_address";

interface Props {
  readonly id: string;
  readonly rows: readonly LogRow[];
  readonly tab: DetailTab;
  readonly found: RegExp | null;
  readonly link: string;
  readonly actions: FieldActions;
}

const ALONE = { before: 0, after: 0 };

export function OpenRow({ id, rows, tab, found, link, actions }: Props) {
  const t = useT();
  const address = useLogsAddress();
  const listed = rows.find((row) => row.id === id);
  const asked = useLogContext(listed === undefined ? id : undefined, ALONE);
  const row = listed ?? asked.data?.row;
  const close = () => address.openRow(undefined);
  if (row === undefined) {
    return (
      <Drawer title={t("logs.details")} label={t("logs.details")} onClose={close} widthPx={520}>
        <Answered asked={asked} loading={<Loading heightPx={300} lines={12} />}>
          {() => null}
        </Answered>
      </Drawer>
    );
  }
  return (
    <RowDetails
      row={row} tab={tab} found={found} link={link} actions={actions}
      onTab={(next) => address.set({ tab: next === "fields" ? undefined : next })}
      onRow={(next) => address.openRow(next.id)}
      onSource={address.searchSource}
      onClose={close}
    />
  );
}
