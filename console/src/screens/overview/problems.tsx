/** What is not all right, each with a way to look closer. */

import { Link } from "@tanstack/react-router";
import type { Problem } from "~/api/overview";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { useZone } from "~/state/preferences";
import { problemInWords } from "./problem_words";
import classes from "./overview.module.css";

interface Props {
  readonly problems: readonly Problem[];
  /** Without any, that nothing is wrong would say too much. */
  readonly hasData: boolean;
}

export function Problems({ problems, hasData }: Props) {
  const t = useT();
  const zone = useZone();
  if (problems.length === 0 && !hasData) {
    return (
      <section className={`${classes.allRight ?? ""} ${classes.nothing ?? ""}`} aria-label={t("overview.nothing")}>
        <Icon name="info" />
        <strong>{t("overview.nothing")}</strong>
        <span className="muted">{t("overview.nothingWhat")}</span>
      </section>
    );
  }
  if (problems.length === 0) {
    return (
      <section className={classes.allRight} aria-label={t("overview.allRight")}>
        <Icon name="check" />
        <strong>{t("overview.allRight")}</strong>
        <span className="muted">{t("overview.allRightWhat")}</span>
      </section>
    );
  }
  const title = t("overview.problems", { n: problems.length });
  return (
    <section className={classes.problems} aria-label={title}>
      <h2 className={classes.problemsTitle}>{title}</h2>
      <ul className={classes.problemList}>
        {problems.map((problem) => (
          <li key={JSON.stringify([problem.code, problem.args])} data-severity={problem.severity}>
            <Icon name={problem.severity} />
            <ProblemLink problem={problem}>{problemInWords(problem, zone, t)}</ProblemLink>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface LinkProps {
  readonly problem: Problem;
  readonly children: string;
}

function ProblemLink({ problem, children }: LinkProps) {
  const text = (name: string) => {
    const value = problem.args[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const node = text("node");
  const onNode = node === undefined ? [] : [{ field: "node", op: "=" as const, value: node }];
  switch (problem.code) {
    case "error_rate":
      return (
        <Link to="/traces" search={{ service: text("service"), operation: text("operation"), status: "ERROR" }}>
          {children}
        </Link>
      );
    case "disk_filling":
      return (
        <Link to="/metrics" search={{ metric: "node_filesystem_avail_bytes", filter: onNode }}>
          {children}
        </Link>
      );
    case "memory_filling":
      return (
        <Link to="/metrics" search={{ metric: "node_memory_MemAvailable_bytes", filter: onNode }}>
          {children}
        </Link>
      );
    default:
      return <Link to="/sources">{children}</Link>;
  }
}
