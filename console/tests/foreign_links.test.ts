import { describe, expect, it } from "vitest";
import { placeOf } from "~/foreign_links";
import { readMatchers } from "~/screens/alerts/matchers";
import { parseSearch } from "~/state/search";

function led(address: string): string | null {
  const url = new URL(address, "http://localhost");
  const place = placeOf(url.pathname, parseSearch(url.search), url.hash.slice(1));
  return place === null ? null : decodeURIComponent(place.replaceAll("+", " "));
}

describe("pages of Prometheus", () => {
  it("leads the generatorURL of an alert to its expression", () =>
    expect(led("/graph?g0.expr=up+%3D%3D+0&g0.tab=1")).toBe('/metrics?view=query&q=[{"id":"A","expr":"up == 0"}]'));
  it("takes all queries and the range", () =>
    expect(led("/query?g0.expr=up&g1.expr=down&g0.range_input=2h")).toBe(
      '/metrics?view=query&q=[{"id":"A","expr":"up"},{"id":"B","expr":"down"}]&from=now-2h&to=now',
    ));
  it("knows its rules", () => expect(led("/rules")).toBe("/alerts?view=rules"));
});

describe("pages of Alertmanager", () => {
  it("shows what a receiver hears of", () =>
    expect(led("/#/alerts?receiver=night%20shift")).toBe("/alerts?match=receiver=night shift"));
  it("shows what a filter finds", () =>
    expect(led('/#/alerts?filter=%7Balertname%3D%22Down%22%2Cpod%3D~%22a.*%22%7D')).toBe("/alerts?match=alertname=Down"));
  it("shows a silence", () => expect(led("/#/silences/4711")).toBe("/alerts?view=silences&silence=4711"));
  it("begins a silence with its matchers", () =>
    expect(led('/#/silences/new?filter=%7Balertname%3D%22Down%22%7D')).toBe(
      '/alerts?view=silences&silence=new&labels={alertname="Down"}',
    ));
  it("leaves other addresses alone", () => {
    for (const one of ["/", "/alerts?view=rules", "/#there", "/nowhere", "/#/nowhere"]) expect(led(one)).toBeNull();
  });
});

it("reads matchers of links", () => {
  const read = readMatchers(String.raw`{alertname="a\"b",pod=~"x.*", zone!=b, "k8s.pod"!~"y"}`);
  expect(read.map((one) => [one.name, one.value, one.isEqual, one.isRegex])).toEqual([
    ["alertname", 'a"b', true, false], ["pod", "x.*", true, true], ["zone", "b", false, false],
    ["k8s.pod", "y", false, true],
  ]);
  expect(readMatchers("")).toEqual([]);
});
