/** One target: how it is scraped, how that went, and how it came to its labels. */

import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { type Target, type TargetDetails as Details, useScrapeConfig, useTargetDetails } from "~/api/targets";
import { duration } from "~/format/durations";
import { bytes, count, exact } from "~/format/numbers";
import { dateTime } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Drawer } from "~/parts/drawer";
import { FailureText } from "~/parts/failure_text";
import { KeyValues } from "~/parts/key_values";
import { Section } from "~/parts/section";
import { Answered, Empty, Loading } from "~/parts/states";
import { useZone } from "~/state/preferences";
import { useTimeRange } from "~/state/use_time_range";
import { HealthMark } from "./health_mark";
import { History } from "./history";
import { identityOf, selectorOf } from "./identity";
import { MetricRules, RelabelSteps } from "./relabel_steps";
import classes from "./targets.module.css";

interface Props {
  readonly pool: string;
  readonly id: string;
  readonly onClose: () => void;
}

export function TargetDetails({ pool, id, onClose }: Props) {
  const t = useT();
  const { isLive } = useTimeRange();
  const asked = useTargetDetails(pool, id, isLive);
  const { data, error } = asked;
  const title = data?.target?.url ?? data?.discovered.__address__ ?? pool;
  return (
    <Drawer title={<span title={title}>{title}</span>} label={t("targets.target")} onClose={onClose} widthPx={600}>
      {error?.code === "not_found" ? (
        <Empty title={t("targets.gone")} icon="info">{t("targets.goneWhat")}</Empty>
      ) : (
        <Answered asked={asked} loading={<Loading heightPx={300} lines={10} />}>
          {(details) => (
            <>
              {details.target === null ? <DroppedNote /> : <Scraped target={details.target} details={details} />}
              <Section title={t("targets.relabelling")} note={t("targets.ruleCount", { n: details.steps.length })}>
                <RelabelSteps details={details} />
              </Section>
              {details.target !== null && (
                <Section title={t("targets.finalLabels")} note={t("targets.finalWhat")}>
                  <KeyValues values={details.target.labels} />
                </Section>
              )}
              <Section title={t("targets.discovered")} note={exact(Object.keys(details.discovered).length)}>
                <KeyValues values={details.discovered} />
              </Section>
              {details.metric_rules.length > 0 && (
                <Section title={t("targets.metricRules")} note={t("targets.metricRulesWhat")}>
                  <MetricRules rules={details.metric_rules} />
                </Section>
              )}
              <Config pool={pool} />
            </>
          )}
        </Answered>
      )}
    </Drawer>
  );
}

function DroppedNote() {
  const t = useT();
  return (
    <p className={classes.droppedNote}>
      <HealthMark health="dropped" />
      <span className="muted">{t("targets.droppedWhat")}</span>
    </p>
  );
}

function Scraped({ target, details }: { readonly target: Target; readonly details: Details }) {
  const t = useT();
  const zone = useZone();
  const never = target.last_scrape_ms === null;
  const timeout = duration(target.timeout_ms * 1e6);
  return (
    <>
      <p className={classes.headLine}>
        <HealthMark health={target.health} />
        <Ways target={target} details={details} />
      </p>
      {target.error !== "" && <FailureText label={t("targets.lastError")} text={target.error} />}
      <KeyValues
        isOrdered
        values={{
          [t("targets.pool")]: target.pool,
          [t("targets.endpoint")]: target.url,
          [t("targets.lastScrape")]: never ? t("targets.never") : dateTime(target.last_scrape_ms, zone),
          [t("targets.duration")]: never ? "–" : t("targets.ofTimeout", { took: duration(target.duration_ms * 1e6), timeout }),
          [t("targets.interval")]: duration(target.interval_ms * 1e6),
          [t("targets.samples")]: t("targets.keptOf", {
            kept: exact(target.samples_kept), scraped: exact(target.samples_scraped),
          }),
          [t("targets.size")]: bytes(target.body_bytes),
          [t("targets.scrapes")]: t("targets.scrapesOf", {
            n: exact(target.scrapes), failed: exact(target.failures), missed: exact(target.missed),
          }),
          ...(target.lost_writes > 0 ? { [t("targets.lostWrites")]: exact(target.lost_writes) } : {}),
        }}
      />
      <Section title={t("targets.history")}>
        <History
          charts={[
            { metric: "up", title: t("targets.up"), written: (value) => count(value) },
            {
              metric: "scrape_duration_seconds", title: t("targets.duration"),
              written: (value) => (value === 0 ? "0" : duration(value * 1e9)),
            },
            {
              metric: "scrape_samples_post_metric_relabeling", title: t("targets.samples"),
              written: (value) => count(value),
            },
          ]}
          selector={selectorOf(target.labels)}
        />
      </Section>
    </>
  );
}

/** From the target to what it sent, and to what it said of itself. */
function Ways({ target, details }: { readonly target: Target; readonly details: Details }) {
  const t = useT();
  const logs = identityOf(target.labels, details.discovered);
  const series = { view: "query", q: [{ id: "A", expr: selectorOf(target.labels) }], as: "table" } as const;
  return (
    <span className={classes.ways}>
      <Link to="/metrics" search={series}>{t("targets.toMetrics")}</Link>
      {logs.length > 0 && <Link to="/logs" search={{ filter: logs }}>{t("targets.toLogs")}</Link>}
      {/* Its scheme may come from an annotation of anybody's pod. */}
      {/^https?:/.test(target.url) && (
        <a href={target.url} target="_blank" rel="noreferrer">{t("targets.toEndpoint")}</a>
      )}
    </span>
  );
}

function Config({ pool }: { readonly pool: string }) {
  const t = useT();
  const [isOpen, setOpen] = useState(false);
  const asked = useScrapeConfig(pool, isOpen);
  return (
    <details className={classes.config} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t("targets.config", { pool })}</summary>
      {isOpen && (
        <Answered asked={asked} loading={<Loading heightPx={80} lines={4} />}>
          {(yaml) => <pre className={classes.yaml}>{yaml}</pre>}
        </Answered>
      )}
    </details>
  );
}
