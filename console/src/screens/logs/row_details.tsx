/** One line in full: its body, its fields, what its source wrote around it, its JSON. */

import { Button, Tabs } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { LogRow } from "~/api/logs";
import { fullTime, zoneName, millisecondsOf } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { CopyButton } from "~/parts/copy_button";
import { Drawer } from "~/parts/drawer";
import { Icon } from "~/parts/icon";
import { SeverityBadge } from "~/parts/severity_badge";
import { useZone } from "~/state/preferences";
import { Around } from "./around";
import { BodyView } from "./body_view";
import { type FieldActions, FieldTable } from "./field_table";
import { JsonText } from "./json_text";
import { jsonTokens } from "./json_tokens";
import classes from "./logs.module.css";
import { attributesOf, identityOf, resourceOf } from "./row_fields";
import { DETAIL_TABS, type DetailTab } from "./search";

interface Props {
  readonly row: LogRow;
  readonly tab: DetailTab;
  readonly found: RegExp | null;
  readonly link: string;
  readonly actions: FieldActions;
  readonly onTab: (tab: DetailTab) => void;
  readonly onRow: (row: LogRow) => void;
  readonly onSource: (row: LogRow) => void;
  readonly onClose: () => void;
}

export function RowDetails(props: Props) {
  const { row, tab } = props;
  const t = useT();
  const zone = useZone();
  return (
    <Drawer
      label={t("logs.details")} onClose={props.onClose} widthPx={520}
      title={
        <span className={classes.detailTitle}>
          <SeverityBadge severity={row.severity} text={row.severity_text} />
          <span className="number">{fullTime(row.timestamp, zone)}</span>
          <span className="muted">{zoneName(zone, millisecondsOf(row.timestamp))}</span>
        </span>
      }
      actions={<CopyButton text={props.link} label={t("logs.copyRowLink")} />}
    >
      <Tabs
        value={tab} keepMounted={false} variant="default"
        onChange={(value) => props.onTab(DETAIL_TABS.find((one) => one === value) ?? "fields")}
      >
        <Tabs.List className={classes.tabs}>
          <Tabs.Tab value="fields">{t("logs.tab.fields")}</Tabs.Tab>
          <Tabs.Tab value="around">{t("logs.tab.around")}</Tabs.Tab>
          <Tabs.Tab value="json">JSON</Tabs.Tab>
          {row.trace_id !== "" && (
            <Button
              className={classes.traceLink} size="compact-xs" variant="light"
              leftSection={<Icon name="traces" sizePx={13} />}
              renderRoot={(root) => (
                <Link
                  {...root} to="/traces/$traceId" params={{ traceId: row.trace_id }}
                  search={row.span_id === "" ? {} : { span: row.span_id }}
                />
              )}
            >
              {t("logs.toTrace")}
            </Button>
          )}
        </Tabs.List>
        <Tabs.Panel value="fields">
          <BodyView key={row.id} text={row.body} found={props.found} />
          <FieldTable label={t("logs.fields")} fields={identityOf(row)} {...props.actions} />
          <FieldTable label={t("logs.attributes")} fields={attributesOf(row)} {...props.actions} />
          <FieldTable label={t("logs.resource")} fields={resourceOf(row)} {...props.actions} />
          <p className={classes.observed}>{t("logs.observed", { time: fullTime(row.observed_at, zone) })}</p>
        </Tabs.Panel>
        <Tabs.Panel value="around">
          <Around key={row.id} row={row} found={props.found} onRow={props.onRow} onSource={props.onSource} />
        </Tabs.Panel>
        <Tabs.Panel value="json">
          <WholeRow row={row} />
        </Tabs.Panel>
      </Tabs>
    </Drawer>
  );
}

function WholeRow({ row }: { readonly row: LogRow }) {
  const t = useT();
  const text = JSON.stringify(row, null, 2);
  const tokens = jsonTokens(text);
  return (
    <>
      <header className={classes.detailHead}>
        <span className="muted">{t("logs.asAnswered")}</span>
        <CopyButton text={text} />
      </header>
      <pre className={classes.bodyText}>{tokens === null ? text : <JsonText tokens={tokens} found={null} />}</pre>
    </>
  );
}
