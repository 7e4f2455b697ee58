/** A colour for each service of a trace, in the order in which they appear in it. */

import { useComputedColorScheme } from "@mantine/core";
import { useMemo } from "react";
import { lineColor } from "~/charts/palette";
import type { TraceTree } from "./trace_tree";

export type ServiceColors = ReadonlyMap<string, string>;

export function useServiceColors(tree: TraceTree): ServiceColors {
  const scheme = useComputedColorScheme("dark");
  return useMemo(
    () => new Map(tree.services.map((one, at) => [one.service, lineColor(scheme, at)])),
    [tree, scheme],
  );
}
