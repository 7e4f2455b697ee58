/** One page, where an alert's runbook_url leads. */

import { getRouteApi, Link } from "@tanstack/react-router";
import { useRunbook } from "~/api/runbooks";
import { useT } from "~/i18n/use_t";
import { Answered, Loading } from "~/parts/states";
import { Screen } from "~/shell/screen";
import { PageText } from "./page_text";
import classes from "./runbooks.module.css";

const route = getRouteApi("/runbooks/$name");

export function RunbookScreen() {
  const t = useT();
  const { name } = route.useParams();
  const asked = useRunbook(name);
  return (
    <Screen title={name}>
      <nav className={classes.back}>
        <Link to="/runbooks">{t("runbooks.all")}</Link>
      </nav>
      <Answered key={name} asked={asked} loading={<Loading heightPx={400} lines={16} />}>
        {(page) => <PageText text={page.text} />}
      </Answered>
    </Screen>
  );
}
