/**
 * Values of the fields, counted. A field with a condition on it is counted without that condition,
 * so that its other values are there to be chosen too.
 */

import { keepPreviousData, useQueries } from "@tanstack/react-query";
import { ask } from "~/api/client";
import { type Facet, type LogQuestion, logParameters, useLogFacets } from "~/api/logs";
import type { Asked } from "~/api/questions";
import type { TimeRange } from "~/state/time_range";
import { includedFields, withoutInclusion } from "./facet_conditions";

interface Answer {
  readonly facets: readonly Facet[];
}

/** Each is one more question of the same cost. */
const APART_MAX = 4;

export function useFacets(
  range: TimeRange,
  question: LogQuestion,
): { readonly asked: Asked<Answer>; readonly facets: readonly Facet[] } {
  const asked = useLogFacets(range, question);
  const conditions = question.conditions ?? [];
  const fields = includedFields(conditions).slice(0, APART_MAX);
  const apart = useQueries({
    queries: fields.map((field) => {
      const rest = withoutInclusion(conditions, field) ?? conditions;
      const parameters = {
        from_ms: range.fromMs,
        to_ms: range.toMs,
        ...logParameters({ ...question, conditions: rest }),
      };
      return {
        queryKey: ["/logs/facets", parameters],
        queryFn: ({ signal }: { signal: AbortSignal }) => ask<Answer>("/logs/facets", { parameters, signal }),
        placeholderData: keepPreviousData<Answer>,
      };
    }),
  });
  const wider = fields.flatMap((field, at) => apart[at]?.data?.facets.find((one) => one.field === field) ?? []);
  return { asked, facets: replaced(asked.data?.facets ?? [], wider) };
}

/** Facets in their order, some replaced; what is only among the replacements comes first. */
export function replaced(facets: readonly Facet[], wider: readonly Facet[]): readonly Facet[] {
  const missing = wider.filter((one) => !facets.some((facet) => facet.field === one.field));
  return [...missing, ...facets.map((facet) => wider.find((one) => one.field === facet.field) ?? facet)];
}
