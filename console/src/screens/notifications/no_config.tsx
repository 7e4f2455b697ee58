/** There is no Alertmanager inside: how to have one. */

import { useT } from "~/i18n/use_t";
import { CodeLine } from "~/parts/code_line";
import { Prose } from "~/parts/prose";
import { Empty } from "~/parts/states";
import classes from "./notifications.module.css";

const EXAMPLE = `route: {receiver: ops, group_by: [alertname, namespace]}
receivers:
- name: ops
  webhook_configs: [{url: "http://example.org/hook"}]`;

export function NoConfig() {
  const t = useT();
  return (
    <div className={classes.alone}>
      <Empty title={t("notifications.noConfig")} icon="notifications">
        <Prose text={t("notifications.noConfigWhat")} />
        <CodeLine text="trilens serve --alertmanager-config alertmanager.yml" />
        <span>{t("notifications.noConfigCheck")}</span>
        <CodeLine text="trilens check alertmanager.yml" />
        <span>{t("notifications.noConfigExample")}</span>
        <pre className={classes.yaml}>{EXAMPLE}</pre>
      </Empty>
    </div>
  );
}
