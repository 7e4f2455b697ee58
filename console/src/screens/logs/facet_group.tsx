/** One field and its values. */

import { useState } from "react";
import type { Facet } from "~/api/logs";
import { count, exact } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { SeverityBadge } from "~/parts/severity_badge";
import type { Condition } from "~/state/filters";
import { shortName } from "./columns";
import { markOf, toggledExclusion, toggledInclusion } from "./facet_conditions";
import classes from "./logs.module.css";

interface Props {
  readonly facet: Facet;
  readonly conditions: readonly Condition[];
  readonly isOpen: boolean;
  readonly isColumn: boolean;
  readonly onOpen: (isOpen: boolean) => void;
  readonly onConditions: (conditions: readonly Condition[]) => void;
  readonly onColumn: (field: string) => void;
}

const VALUES_FIRST = 7;

export function FacetGroup(props: Props) {
  const { facet, isOpen, isColumn, onColumn } = props;
  const t = useT();
  const [isWhole, setWhole] = useState(false);
  const name = t.maybe(`logs.field.${facet.field}`) ?? shortName(facet.field);
  const most = Math.max(1, ...facet.values.map((one) => one.count));
  const shown = isWhole ? facet.values : facet.values.slice(0, VALUES_FIRST);
  const rest = facet.values.length - shown.length;
  const isPart = isWhole && facet.distinct > facet.values.length;
  return (
    <section className={classes.facet} aria-label={name}>
      <header className={classes.facetHead}>
        <button
          type="button" className={classes.facetName} aria-expanded={isOpen} title={facet.field}
          onClick={() => props.onOpen(!isOpen)}
        >
          <Icon name={isOpen ? "down" : "right"} sizePx={11} />
          <span className="cut">{name}</span>
          <span className={classes.facetDistinct}>{count(facet.distinct)}</span>
        </button>
        <button
          type="button" className={classes.facetColumn} aria-pressed={isColumn}
          aria-label={t(isColumn ? "logs.columnOff" : "logs.columnOn", { field: name })}
          title={t(isColumn ? "logs.columnOff" : "logs.columnOn", { field: name })}
          onClick={() => onColumn(facet.field)}
        >
          <Icon name="list" sizePx={12} />
        </button>
      </header>
      {isOpen && (
        <ul className={classes.facetValues}>
          {shown.map((one) => (
            <FacetValue
              key={one.value} field={facet.field} value={one.value} rows={one.count} share={one.count / most}
              conditions={props.conditions} onConditions={props.onConditions}
            />
          ))}
          {(rest > 0 || isWhole) && facet.values.length > VALUES_FIRST && (
            <li>
              <button type="button" className={classes.facetMore} onClick={() => setWhole(!isWhole)}>
                {isWhole ? t("logs.fewer") : t("parts.others", { n: rest })}
              </button>
            </li>
          )}
          {isPart && (
            <li className={classes.facetsNote}>
              {t("logs.mostFrequent", { n: facet.values.length, total: exact(facet.distinct) })}
            </li>
          )}
        </ul>
      )}
    </section>
  );
}

interface ValueProps {
  readonly field: string;
  readonly value: string;
  readonly rows: number;
  readonly share: number;
  readonly conditions: readonly Condition[];
  readonly onConditions: (conditions: readonly Condition[]) => void;
}

function FacetValue({ field, value, rows, share, conditions, onConditions }: ValueProps) {
  const t = useT();
  const mark = markOf(conditions, field, value);
  const leaveOut = () => onConditions(toggledExclusion(conditions, field, value));
  return (
    <li className={classes.facetValue} data-mark={mark ?? undefined}>
      <button
        type="button" className={classes.facetTake} aria-pressed={mark === "in"}
        title={`${value}\n${exact(rows)}\n${t("logs.facetClick")}`}
        onClick={(event) => {
          if (event.altKey) leaveOut();
          else onConditions(toggledInclusion(conditions, field, value));
        }}
      >
        <span className={classes.facetBar} style={{ width: `${share * 100}%` }} aria-hidden />
        <span className={classes.facetBox} aria-hidden>
          {mark === "in" && <Icon name="check" sizePx={10} />}
          {mark === "out" && <Icon name="minus" sizePx={10} />}
        </span>
        <span className={classes.facetText}>
          {field === "severity" ? <SeverityBadge severity={value} /> : value}
        </span>
        <span className={classes.facetCount}>{count(rows)}</span>
      </button>
      <button
        type="button" className={classes.facetOut} aria-pressed={mark === "out"}
        aria-label={`${t("parts.filterOut")}: ${value}`} title={t("parts.filterOut")}
        onClick={leaveOut}
      >
        <Icon name="minus" sizePx={12} />
      </button>
    </li>
  );
}
