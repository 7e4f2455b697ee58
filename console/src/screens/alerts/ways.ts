/** From an alert to the logs and traces of the thing it is about: its labels as the columns that all rows have. */

import type { Labels } from "~/api/alerts";
import type { Condition } from "~/state/filters";

const BEFORE_MS = 15 * 60e3;
const LONGEST_MS = 6 * 3600e3;

/**
 * By column the labels that may hold it, the surest first: where a target's own labels were kept
 * apart (`exported_`), those are of the thing, and the others of who exposes it.
 */
const LABELS_OF: Readonly<Record<string, readonly string[]>> = {
  cluster: ["exported_cluster", "cluster", "k8s_cluster_name"],
  namespace: ["exported_namespace", "namespace", "k8s_namespace_name"],
  workload: [
    "workload", "deployment", "statefulset", "daemonset", "job_name", "cronjob", "replicaset",
    "k8s_deployment_name", "k8s_statefulset_name", "k8s_daemonset_name",
  ],
  pod: ["exported_pod", "pod", "pod_name", "k8s_pod_name"],
  container: ["exported_container", "container", "k8s_container_name"],
  node: ["node", "nodename", "kubernetes_node", "k8s_node_name", "host_name"],
  service: ["service_name", "exported_service", "service", "job"],
};
const COLUMNS = Object.keys(LABELS_OF);

export function identityOf(labels: Labels): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const column of COLUMNS) {
    const value = LABELS_OF[column]?.map((name) => labels[name]).find((one) => one !== undefined && one !== "");
    if (value !== undefined) found[column] = value;
  }
  // OpenTelemetry's job is namespace/name; a job that scrapes is no service that logs when more is known.
  if (found.service !== undefined) found.service = found.service.split("/").at(-1) ?? found.service;
  return found;
}

/**
 * The narrowest that leads somewhere. Who scrapes a pod calls its service by other names than the
 * pod itself, so a service counts only where nothing nearer is known.
 */
export function conditionsOf(labels: Labels): Condition[] {
  const identity = identityOf(labels);
  const columns =
    identity.pod !== undefined ? ["cluster", "namespace", "pod", "container"]
    : identity.workload !== undefined ? ["cluster", "namespace", "workload"]
    : identity.node !== undefined ? ["cluster", "node"]
    : ["cluster", "namespace", "service"];
  return columns.flatMap((field): Condition[] => {
    const value = identity[field];
    return value === undefined ? [] : [{ field, op: "=", value }];
  });
}

/** Around its beginning: a while before, and until now but not for ever. */
export function timeOf(activeAtMs: number, nowMs: number): { readonly from: string; readonly to: string } {
  const from = new Date(activeAtMs - BEFORE_MS).toISOString();
  const isLong = nowMs - activeAtMs > LONGEST_MS;
  return { from, to: isLong ? new Date(activeAtMs + LONGEST_MS).toISOString() : "now" };
}

/** Where a runbook may lead: the web, or a page of this server. Anything else is only a text. */
export function safeLink(text: string): string | null {
  return /^(?:https?:\/\/|\/(?!\/))/.test(text.trim()) ? text.trim() : null;
}
