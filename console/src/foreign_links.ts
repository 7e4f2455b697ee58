/**
 * Addresses of Prometheus's and Alertmanager's own pages, and where the same is here. Alerts carry
 * them (generatorURL is `/graph?g0.expr=...`), as do templates of notifications (`/#/alerts`).
 */

import { wordsOf } from "~/format/labels";
import { readMatchers } from "~/screens/alerts/matchers";
import { NEW_SILENCE } from "~/screens/alerts/search";
import { stringifySearch, type Search } from "~/state/search";

const QUERIES_MAX = 10;
const RANGE = /^\d+[smhdw]$/;

/** Path and search; null where it is no page of theirs. `hash` is without its #. */
export function placeOf(path: string, search: Search, hash: string): string | null {
  if (path === "/graph" || path === "/query") return `/metrics${stringifySearch(explorerOf(search))}`;
  if (path === "/rules") return "/alerts?view=rules";
  if (path !== "/" || !hash.startsWith("/")) return null;
  const [page = "", text = ""] = hash.split(/\?(.*)/s);
  const asked = new URLSearchParams(text);
  const [, first = "", second = ""] = page.split("/");
  switch (first) {
    case "alerts":
      return `/alerts${stringifySearch({ match: matchOf(asked) })}`;
    case "silences": {
      const labels = second === NEW_SILENCE ? asked.get("filter") : undefined;
      return `/alerts${stringifySearch({ view: "silences", silence: second, labels })}`;
    }
    case "status":
      return "/notifications?view=routes";
    default:
      return null;
  }
}

function explorerOf(search: Search): Search {
  const q: { id: string; expr: string }[] = [];
  for (let at = 0; at < QUERIES_MAX; at += 1) {
    const expr = search[`g${at}.expr`];
    if (typeof expr === "string" && expr !== "") q.push({ id: String.fromCharCode(65 + at), expr });
  }
  const range = search["g0.range_input"];
  const time = typeof range === "string" && RANGE.test(range) ? { from: `now-${range}`, to: "now" } : {};
  return { view: "query", q, ...time };
}

/** Only what is equal can be looked for by words. */
function matchOf(asked: URLSearchParams): string | undefined {
  const labels = readMatchers(asked.get("filter") ?? "").filter((one) => one.isEqual && !one.isRegex);
  const receiver = asked.get("receiver");
  return wordsOf({
    ...Object.fromEntries(labels.map((one) => [one.name, one.value])),
    ...(receiver === null ? {} : { receiver }),
  });
}
