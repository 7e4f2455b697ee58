/** Counts of log rows over time, stacked by severity: what is worst stands at the bottom. */

import { useComputedColorScheme } from "@mantine/core";
import { useMemo } from "react";
import type { LogBucket } from "~/api/logs";
import { count } from "~/format/numbers";
import { SEVERITIES, SEVERITY_COLORS } from "~/theme";
import { type ChartLine, TimeChart } from "./time_chart";

interface Props {
  readonly label: string;
  readonly buckets: readonly LogBucket[];
  readonly stepMs: number;
  readonly heightPx?: number;
  readonly isOld?: boolean;
}

export function SeverityBars({ label, buckets, stepMs, heightPx = 140, isOld = false }: Props) {
  const scheme = useComputedColorScheme("dark");
  const lines = useMemo<ChartLine[]>(
    () =>
      SEVERITIES.flatMap((severity) => {
        if (!buckets.some((bucket) => (bucket.counts[severity] ?? 0) > 0)) return [];
        const points = buckets.map((bucket) => [bucket.t_ms, bucket.counts[severity] ?? 0] as const);
        return [{ id: severity, label: severity, points, color: SEVERITY_COLORS[scheme][severity] }];
      }),
    [buckets, scheme],
  );
  return (
    <TimeChart
      label={label} lines={lines} kind="bars" stepMs={stepMs}
      format={count} heightPx={heightPx} isOld={isOld}
    />
  );
}
