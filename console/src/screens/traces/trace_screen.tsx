import { getRouteApi } from "@tanstack/react-router";
import { useTrace } from "~/api/traces";
import { useT } from "~/i18n/use_t";
import { Answered, Loading } from "~/parts/states";
import { Screen } from "~/shell/screen";

const route = getRouteApi("/traces/$traceId");

export function TraceScreen() {
  const t = useT();
  const { traceId } = route.useParams();
  return (
    <Screen title={t("traces.title")}>
      <Answered asked={useTrace(traceId)} loading={<Loading heightPx={300} lines={12} />}>
        {(trace) => <pre>{trace.spans.map((span) => span.name).join("\n")}</pre>}
      </Answered>
    </Screen>
  );
}
