/** Nothing is scraped, since nobody said what: how to say it. */

import { useT } from "~/i18n/use_t";
import { CodeLine } from "~/parts/code_line";
import { Prose } from "~/parts/prose";
import { Empty } from "~/parts/states";
import classes from "./targets.module.css";

const EXAMPLE = `scrape_configs:
- job_name: node
  static_configs:
  - targets: ["10.0.0.1:9100"]`;

export function NoConfig() {
  const t = useT();
  return (
    <div className={classes.alone}>
      <Empty title={t("targets.noConfig")} icon="targets">
        <Prose text={t("targets.noConfigWhat")} />
        <CodeLine text="trilens serve --prometheus-config prometheus.yml" />
        <span>{t("targets.noConfigCheck")}</span>
        <CodeLine text="trilens check prometheus.yml" />
        <span>{t("targets.noConfigExample")}</span>
        <pre className={classes.yaml}>{EXAMPLE}</pre>
      </Empty>
    </div>
  );
}
