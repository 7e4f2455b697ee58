/** Below the last line: more is coming, that was all, or why there is nothing. */

import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { exact } from "~/format/numbers";
import { useT } from "~/i18n/use_t";
import { Empty, ErrorNote, Loading } from "~/parts/states";
import { HowToSend } from "~/screens/overview/how_to_send";
import type { Condition } from "~/state/filters";
import classes from "./logs.module.css";
import type { LogList } from "./use_log_list";

interface Props {
  readonly list: LogList;
  readonly isFollowing: boolean;
  readonly query: string;
  readonly conditions: readonly Condition[];
  readonly onClearQuery: () => void;
  readonly onClearConditions: () => void;
  readonly onWider: () => void;
}

export function ListEnd(props: Props) {
  const { list, isFollowing } = props;
  const t = useT();
  if (list.error !== null && list.error.position !== null) {
    return <Empty title={t("logs.wrongSearch")} icon="error">{t("logs.wrongSearchWhat")}</Empty>;
  }
  if (list.error !== null) return <ErrorNote error={list.error} onRetry={list.retry} />;
  if (list.isPending) return <div className={classes.pending}><Loading heightPx={320} lines={14} /></div>;
  if (list.rows.length === 0) return isFollowing ? <Waiting /> : <Nothing {...props} />;
  if (isFollowing && list.follow.isCut) return <p className={classes.end}>{t("logs.cutWhileFollowing")}</p>;
  if (list.hasMore) return <p className={classes.end}>{t("logs.loadingMore")}</p>;
  return <p className={classes.end}>{t("logs.thatIsAll", { n: list.rows.length, shown: exact(list.rows.length) })}</p>;
}

function Waiting() {
  const t = useT();
  return <Empty title={t("logs.waitingForRows")} icon="clock">{t("logs.waitingForRowsWhat")}</Empty>;
}

function Nothing({ query, conditions, onClearQuery, onClearConditions, onWider }: Props) {
  const t = useT();
  const isNarrowed = query !== "" || conditions.length > 0;
  return (
    <Empty title={t(isNarrowed ? "logs.noMatch" : "parts.noData")} icon="search">
      <span>{t(isNarrowed ? "logs.noMatchWhat" : "logs.noDataWhat")}</span>
      <span className={classes.ways}>
        {query !== "" && <Button variant="default" onClick={onClearQuery}>{t("logs.clearSearch")}</Button>}
        {conditions.length > 0 && (
          <Button variant="default" onClick={onClearConditions}>{t("parts.clearFilters")}</Button>
        )}
        <Button variant="default" onClick={onWider}>{t("logs.wider")}</Button>
      </span>
      {!isNarrowed && (
        <>
          <span>
            {t("logs.howToSend")} <Link to="/sources">{t("logs.toSources")}</Link>
          </span>
          <HowToSend what="otlp" />
        </>
      )}
    </Empty>
  );
}
