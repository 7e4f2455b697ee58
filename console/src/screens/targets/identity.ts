/** Whose logs are those of a target: what its labels, or what was discovered, say of pod and node. */

import type { Labels } from "~/api/prometheus";
import type { Condition } from "~/state/filters";

const NAMES = {
  namespace: ["namespace", "kubernetes_namespace", "__meta_kubernetes_namespace"],
  pod: ["pod", "pod_name", "kubernetes_pod_name", "__meta_kubernetes_pod_name"],
  container: ["container", "container_name", "__meta_kubernetes_pod_container_name"],
  node: ["node", "nodename", "kubernetes_node", "__meta_kubernetes_pod_node_name", "__meta_kubernetes_node_name"],
} as const;
type Part = keyof typeof NAMES;

/** The narrowest that there is: a pod and its container, else a node; none where nothing says it. */
export function identityOf(labels: Labels, discovered: Labels): Condition[] {
  const value = (part: Part) =>
    NAMES[part].map((name) => labels[name] ?? discovered[name] ?? "").find((one) => one !== "");
  const parts: readonly Part[] = value("pod") === undefined ? ["node"] : ["namespace", "pod", "container"];
  return parts.flatMap((part) => {
    const found = value(part);
    return found === undefined ? [] : [{ field: part, op: "=" as const, value: found }];
  });
}

/** `{job="node",instance="a:1"}`: series that have all labels of the target. */
export function selectorOf(labels: Labels): string {
  const matchers = Object.entries(labels).map(([name, value]) => `${labelName(name)}=${JSON.stringify(value)}`);
  return `{${matchers.join(",")}}`;
}

/** Any UTF-8 may be a name; what is no plain one is quoted. */
function labelName(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name);
}
