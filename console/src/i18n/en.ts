/** English: all words of the console. A file an area; keys begin with the area's name. */

import { alerts } from "./en/alerts";
import { explore } from "./en/explore";
import { logs } from "./en/logs";
import { metrics } from "./en/metrics";
import { notifications } from "./en/notifications";
import { overview } from "./en/overview";
import { parts } from "./en/parts";
import { runbooks } from "./en/runbooks";
import { shell } from "./en/shell";
import { sources } from "./en/sources";
import { targets } from "./en/targets";
import { traces } from "./en/traces";

export const en = {
  ...shell, ...parts, ...overview, ...logs, ...traces, ...metrics, ...explore, ...sources,
  ...runbooks, ...alerts, ...targets, ...notifications,
} as const;
