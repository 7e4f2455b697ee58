/** The addresses of the console. Each screen is a file of its own, loaded when it is gone to. */

import {
  createRootRoute, createRoute, createRouter, lazyRouteComponent, retainSearchParams,
} from "@tanstack/react-router";
import { readAlertsSearch } from "~/screens/alerts/search";
import { readLogsSearch } from "~/screens/logs/search";
import { readMetricsSearch } from "~/screens/metrics/search";
import { readNotificationsSearch } from "~/screens/notifications/search";
import { readSourcesSearch } from "~/screens/sources/search";
import { readTargetsSearch } from "~/screens/targets/search";
import { readTraceSearch, readTracesSearch } from "~/screens/traces/search";
import { AppFrame } from "~/shell/app_frame";
import { NotFound, ScreenFailed } from "~/shell/failures";
import { parseSearch, readTimeSearch, stringifySearch } from "~/state/search";

const root = createRootRoute({
  component: AppFrame,
  notFoundComponent: NotFound,
  validateSearch: readTimeSearch,
  // A link that says nothing about the time keeps it.
  search: { middlewares: [retainSearchParams(["from", "to", "live"])] },
});

const overview = createRoute({
  getParentRoute: () => root,
  path: "/",
  component: lazyRouteComponent(() => import("~/screens/overview/overview_screen"), "OverviewScreen"),
});
const logs = createRoute({
  getParentRoute: () => root,
  path: "/logs",
  validateSearch: readLogsSearch,
  component: lazyRouteComponent(() => import("~/screens/logs/logs_screen"), "LogsScreen"),
});
const traces = createRoute({
  getParentRoute: () => root,
  path: "/traces",
  validateSearch: readTracesSearch,
  component: lazyRouteComponent(() => import("~/screens/traces/traces_screen"), "TracesScreen"),
});
const trace = createRoute({
  getParentRoute: () => root,
  path: "/traces/$traceId",
  validateSearch: readTraceSearch,
  component: lazyRouteComponent(() => import("~/screens/traces/trace_screen"), "TraceScreen"),
});
const metrics = createRoute({
  getParentRoute: () => root,
  path: "/metrics",
  validateSearch: readMetricsSearch,
  component: lazyRouteComponent(() => import("~/screens/metrics/metrics_screen"), "MetricsScreen"),
});
const alerts = createRoute({
  getParentRoute: () => root,
  path: "/alerts",
  validateSearch: readAlertsSearch,
  component: lazyRouteComponent(() => import("~/screens/alerts/alerts_screen"), "AlertsScreen"),
});
const sources = createRoute({
  getParentRoute: () => root,
  path: "/sources",
  validateSearch: readSourcesSearch,
  component: lazyRouteComponent(() => import("~/screens/sources/sources_screen"), "SourcesScreen"),
});
const targets = createRoute({
  getParentRoute: () => root,
  path: "/targets",
  validateSearch: readTargetsSearch,
  component: lazyRouteComponent(() => import("~/screens/targets/targets_screen"), "TargetsScreen"),
});
const notifications = createRoute({
  getParentRoute: () => root,
  path: "/notifications",
  validateSearch: readNotificationsSearch,
  component: lazyRouteComponent(() => import("~/screens/notifications/notifications_screen"), "NotificationsScreen"),
});
const runbooks = createRoute({
  getParentRoute: () => root,
  path: "/runbooks",
  component: lazyRouteComponent(() => import("~/screens/runbooks/runbooks_screen"), "RunbooksScreen"),
});
const runbook = createRoute({
  getParentRoute: () => root,
  path: "/runbooks/$name",
  component: lazyRouteComponent(() => import("~/screens/runbooks/runbook_screen"), "RunbookScreen"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    overview, logs, traces, trace, metrics, alerts, targets, notifications, sources, runbooks, runbook,
  ]),
  parseSearch,
  stringifySearch,
  defaultPreload: "intent",
  defaultErrorComponent: ScreenFailed,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
