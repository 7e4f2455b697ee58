import { useT } from "~/i18n/use_t";
import { Empty } from "~/parts/states";
import { Screen } from "~/shell/screen";

export function MetricsScreen() {
  const t = useT();
  return (
    <Screen title={t("metrics.title")}>
      <Empty title={t("parts.noData")} />
    </Screen>
  );
}
