import { useT } from "~/i18n/use_t";
import { Empty } from "~/parts/states";
import { Screen } from "~/shell/screen";

export function LogsScreen() {
  const t = useT();
  return (
    <Screen title={t("logs.title")}>
      <Empty title={t("parts.noData")} />
    </Screen>
  );
}
