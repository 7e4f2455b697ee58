/** The machines: processors, memory, the fullest disk; the fullest machines first. */

import { Button, Tooltip } from "@mantine/core";
import { useState } from "react";
import type { Host } from "~/api/overview";
import { Sparkline } from "~/charts/sparkline";
import { bytes, digits, percent } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { Panel } from "~/parts/panel";
import { Prose } from "~/parts/prose";
import { Gauge } from "~/parts/stat_tile";
import { Empty } from "~/parts/states";
import { ago } from "~/shell/time_words";
import { useMoment } from "~/state/moment";
import { HowToSend } from "./how_to_send";
import { byFullness } from "./fullness";
import classes from "./overview.module.css";

const FIRST_SHOWN = 8;

export function Hosts({ hosts }: { readonly hosts: readonly Host[] }) {
  const t = useT();
  const [areAllShown, setAllShown] = useState(false);
  const sorted = byFullness(hosts);
  const shown = areAllShown ? sorted : sorted.slice(0, FIRST_SHOWN);
  const more = hosts.length > FIRST_SHOWN && (
    <Button variant="subtle" size="compact-xs" onClick={() => setAllShown(!areAllShown)}>
      {areAllShown ? t("overview.fewHosts") : t("overview.allHosts", { n: hosts.length })}
    </Button>
  );
  return (
    <Panel title={t("overview.hosts")} note={hosts.length === 0 ? undefined : hosts.length} actions={more}>
      {hosts.length === 0 ? (
        <Empty title={t("overview.noHosts")} icon="host">
          <Prose text={t("overview.noHostsWhat")} />
          <HowToSend what="prometheus" />
        </Empty>
      ) : (
        <div className={classes.hosts}>
          {shown.map((host) => (
            <HostTile key={host.node} host={host} />
          ))}
        </div>
      )}
    </Panel>
  );
}

function HostTile({ host }: { readonly host: Host }) {
  const t = useT();
  const { nowMs } = useMoment();
  const seen = host.last_seen_ms === null ? "" : t("overview.lastSeen", { ago: ago(host.last_seen_ms, nowMs, t) });
  const total = host.memory_total_bytes;
  return (
    <article className={classes.host} aria-label={host.node}>
      <header className={classes.hostHead}>
        <Tooltip label={[host.node, seen].filter((one) => one !== "").join(" · ")}>
          <span className={classes.hostName}>{host.node === "" ? "–" : host.node}</span>
        </Tooltip>
        {host.load1 !== null && <span className="muted">{t("overview.load", { value: digits(host.load1) })}</span>}
      </header>
      <div className={classes.hostLine}>
        <span className="muted">{t("overview.cpu")}</span>
        <Sparkline points={host.cpu_points} most={1} heightPx={22} label={`${t("overview.cpu")} ${host.node}`} />
        <span className={classes.hostValue}>{percent(host.cpu_used_ratio)}</span>
      </div>
      <div className={classes.hostLine} title={total === null ? "" : t("overview.memoryOf", { total: bytes(total) })}>
        <span className="muted">{t("overview.memory")}</span>
        <Gauge ratio={host.memory_used_ratio} label={`${t("overview.memory")} ${host.node}`} warning={0.95} error={0.98} />
        <span className={classes.hostValue}>{percent(host.memory_used_ratio)}</span>
      </div>
      <div className={classes.hostLine} title={host.disk_fullest_mount}>
        <span className="muted">{t("overview.disk")}</span>
        <Gauge ratio={host.disk_used_ratio_max} label={`${t("overview.disk")} ${host.disk_fullest_mount} ${host.node}`} />
        <span className={classes.hostValue}>{percent(host.disk_used_ratio_max)}</span>
      </div>
    </article>
  );
}
