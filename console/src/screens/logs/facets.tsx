/** Fields and their most frequent values beside the list: a click keeps only them, Alt keeps them out. */

import { ActionIcon, TextInput } from "@mantine/core";
import { useState } from "react";
import type { Facet, LogQuestion } from "~/api/logs";
import { count } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { Answered, Loading } from "~/parts/states";
import type { Condition } from "~/state/filters";
import type { TimeRange } from "~/state/time_range";
import { FacetGroup } from "./facet_group";
import { isFirstOpen, matchingFacets, withConditions } from "./facet_lists";
import classes from "./logs.module.css";
import { isOfQuestion } from "./query_error";
import { useFacets } from "./use_facets";

interface Props {
  readonly range: TimeRange;
  readonly question: LogQuestion;
  readonly columns: readonly string[];
  readonly onConditions: (conditions: readonly Condition[]) => void;
  readonly onColumn: (field: string) => void;
  readonly onClose: () => void;
}

export function Facets(props: Props) {
  const { range, question, columns } = props;
  const t = useT();
  const { asked, facets } = useFacets(range, question);
  const [looked, setLooked] = useState("");
  const [opened, setOpened] = useState<Readonly<Record<string, boolean>>>({});
  const conditions = question.conditions ?? [];
  const all = withConditions(facets, conditions);
  const isOpen = (facet: Facet) => opened[facet.field] ?? (looked !== "" || isFirstOpen(facet, conditions));
  return (
    <nav className={classes.facets} aria-label={t("logs.facets")} data-old={asked.isPlaceholderData || undefined}>
      <div className={classes.facetsHead}>
        <TextInput
          className={classes.facetsFind} aria-label={t("logs.findField")} placeholder={t("logs.findField")}
          value={looked} onChange={(event) => setLooked(event.currentTarget.value)}
        />
        <ActionIcon aria-label={t("logs.hideFacets")} title={t("logs.hideFacets")} onClick={props.onClose}>
          <Icon name="left" sizePx={14} />
        </ActionIcon>
      </div>
      <div className={classes.facetsBody}>
        {!isOfQuestion(asked.error) && (
          <Answered asked={asked} loading={<Loading heightPx={260} lines={12} />}>
            {() => null}
          </Answered>
        )}
        {asked.data !== undefined &&
          matchingFacets(all, looked).map((facet) => (
            <FacetGroup
              key={facet.field} facet={facet} conditions={conditions}
              isOpen={isOpen(facet)} isColumn={columns.includes(facet.field)}
              onOpen={(next) => setOpened({ ...opened, [facet.field]: next })}
              onConditions={props.onConditions} onColumn={props.onColumn}
            />
          ))}
        {asked.data?.facets.length === 0 && <p className={classes.facetsNote}>{t("parts.noData")}</p>}
        {facets.length > 0 && (
          <p className={classes.facetsNote}>{t("logs.facetsNote", { n: count(200_000) })}</p>
        )}
      </div>
    </nav>
  );
}
