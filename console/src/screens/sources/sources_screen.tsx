import { useT } from "~/i18n/use_t";
import { Empty } from "~/parts/states";
import { Screen } from "~/shell/screen";

export function SourcesScreen() {
  const t = useT();
  return (
    <Screen title={t("sources.title")}>
      <Empty title={t("parts.noData")} />
    </Screen>
  );
}
