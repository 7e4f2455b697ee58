/** What stands in place of a screen that does not exist or broke. */

import { Button } from "@mantine/core";
import { Link, useLocation, type ErrorComponentProps } from "@tanstack/react-router";
import { useT } from "~/i18n/use_t";
import { Empty } from "~/parts/states";
import { Screen } from "./screen";

export function NotFound() {
  const t = useT();
  const { pathname } = useLocation();
  return (
    <Screen title={t("shell.notFound")}>
      <Empty title={t("shell.notFound")} icon="search">
        {t("shell.notFoundWhat", { path: pathname })}
        <Link to="/">{t("shell.toOverview")}</Link>
      </Empty>
    </Screen>
  );
}

/** Also when a new version was installed and the screen's old file is gone: loading again helps. */
export function ScreenFailed({ error }: ErrorComponentProps) {
  const t = useT();
  return (
    <Empty title={t("shell.failed")} icon="error">
      <code>{error instanceof Error ? error.message : String(error)}</code>
      <Button variant="default" onClick={() => window.location.reload()}>
        {t("shell.reload")}
      </Button>
    </Empty>
  );
}
