/** Which fields stand beside the list, and which of them are open at first. */

import type { Facet } from "~/api/logs";
import type { Condition } from "~/state/filters";
import { SEVERITIES } from "~/theme";

const OPEN_FIRST: readonly string[] = ["severity", "service", "node", "namespace", "pod", "container"];
const OPEN_VALUES_MAX = 12;

/** A field whose every row a condition keeps out still shows its condition's values. */
export function withConditions(facets: readonly Facet[], conditions: readonly Condition[]): readonly Facet[] {
  return facets.map((facet) => {
    const chosen = conditions
      .filter((one) => one.field === facet.field)
      .flatMap((one) => one.value ?? [])
      .filter((value) => !facet.values.some((one) => one.value === value));
    const values = [...facet.values, ...[...new Set(chosen)].map((value) => ({ value, count: 0 }))];
    return { ...facet, values: facet.field === "severity" ? bySeverity(values) : values };
  });
}

type Values = Facet["values"];

function bySeverity(values: Values): Values {
  const order: readonly string[] = SEVERITIES;
  return values.toSorted((one, other) => order.indexOf(one.value) - order.indexOf(other.value));
}

export function isFirstOpen(facet: Facet, conditions: readonly Condition[]): boolean {
  if (conditions.some((one) => one.field === facet.field)) return true;
  return OPEN_FIRST.includes(facet.field) && facet.distinct <= OPEN_VALUES_MAX;
}

/** By the name of the field or by a value. */
export function matchingFacets(facets: readonly Facet[], looked: string): readonly Facet[] {
  const wanted = looked.trim().toLowerCase();
  if (wanted === "") return facets;
  return facets.flatMap((facet) => {
    if (facet.field.toLowerCase().includes(wanted)) return [facet];
    const values = facet.values.filter((one) => one.value.toLowerCase().includes(wanted));
    return values.length === 0 ? [] : [{ ...facet, values }];
  });
}
