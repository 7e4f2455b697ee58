/** All pages on alerts, by name. */

import { Link } from "@tanstack/react-router";
import { useRunbooks } from "~/api/runbooks";
import { useT } from "~/i18n/use_t";
import { Panel } from "~/parts/panel";
import { Answered, Empty, Loading } from "~/parts/states";
import { Screen } from "~/shell/screen";
import classes from "./runbooks.module.css";

export function RunbooksScreen() {
  const t = useT();
  const asked = useRunbooks();
  return (
    <Screen title={t("runbooks.title")}>
      <Answered asked={asked} loading={<Loading heightPx={400} lines={16} />}>
        {({ runbooks }) => (
          <Panel title={t("runbooks.title")} note={t("runbooks.count", { n: runbooks.length })}>
            {runbooks.length === 0 && <Empty title={t("runbooks.none")} />}
            <ul className={classes.list}>
              {runbooks.map((one) => (
                <li key={one.name}>
                  <Link to="/runbooks/$name" params={{ name: one.name }}>{one.name}</Link>
                  <span className="muted">{one.title}</span>
                </li>
              ))}
            </ul>
          </Panel>
        )}
      </Answered>
    </Screen>
  );
}
