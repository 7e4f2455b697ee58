/** Korean: exactly the keys of English, told by the type of each file. */

import type { en } from "./en";
import { alerts } from "./ko/alerts";
import { explore } from "./ko/explore";
import { logs } from "./ko/logs";
import { metrics } from "./ko/metrics";
import { notifications } from "./ko/notifications";
import { overview } from "./ko/overview";
import { parts } from "./ko/parts";
import { runbooks } from "./ko/runbooks";
import { shell } from "./ko/shell";
import { sources } from "./ko/sources";
import { targets } from "./ko/targets";
import { traces } from "./ko/traces";

export const ko: Record<keyof typeof en, string> = {
  ...shell, ...parts, ...overview, ...logs, ...traces, ...metrics, ...explore, ...sources,
  ...runbooks, ...alerts, ...targets, ...notifications,
};
