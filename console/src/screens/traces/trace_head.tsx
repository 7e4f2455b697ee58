/** Above the waterfall: looking for spans, the services and their colours, and what does not fit together. */

import { ActionIcon, Button, TextInput, Tooltip } from "@mantine/core";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { useTyped } from "~/state/use_typed";
import type { ServiceColors } from "./service_colors";
import { found as foundIn, nextOf } from "./span_search";
import type { TraceTree } from "./trace_tree";
import type { Folding } from "./use_folding";
import { errorsOf } from "./use_trace_keys";
import { isWhole, type Viewport, whole } from "./viewport";
import classes from "./trace_head.module.css";

interface Props {
  readonly tree: TraceTree;
  readonly colors: ServiceColors;
  readonly folding: Folding;
  readonly find: string;
  readonly found: readonly number[];
  /** Place of the span that is selected; -1 for none. */
  readonly place: number;
  readonly isTruncated: boolean;
  readonly view: Viewport;
  readonly onFind: (text: string) => void;
  readonly onSelect: (key: string) => void;
  readonly onView: (view: Viewport) => void;
}

export function TraceHead(props: Props) {
  const { tree, folding, find, found, place, view, onSelect } = props;
  const t = useT();
  const errors = errorsOf(tree);
  const [typed, setTyped] = useTyped(find, props.onFind);
  const step = (places: readonly number[], direction: 1 | -1) => {
    const key = tree.nodes[nextOf(places, place, direction) ?? -1]?.key;
    if (key !== undefined) onSelect(key);
  };
  return (
    <div className={classes.head}>
      <div className={classes.line}>
        <TextInput
          className={classes.find} data-search value={typed} aria-label={t("traces.find")} placeholder={t("traces.findExample")}
          leftSection={<Icon name="search" sizePx={14} />}
          onChange={(event) => setTyped(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.nativeEvent.isComposing) return;
            // What was typed may not be in the address yet.
            step(foundIn(tree, typed), event.shiftKey ? -1 : 1);
          }}
        />
        {find !== "" && (
          <>
            <span className={classes.count} role="status">
              {found.includes(place)
                ? t("traces.foundAt", { at: found.indexOf(place) + 1, n: found.length })
                : t("traces.found", { n: found.length })}
            </span>
            <Step icon="up" label={t("traces.keyPreviousFound")} onClick={() => step(found, -1)} />
            <Step icon="down" label={t("traces.keyNextFound")} onClick={() => step(found, 1)} />
          </>
        )}
        {errors.length > 0 && (
          <Button
            size="compact-sm" variant="default" className={classes.errors} title={`${t("traces.keyNextError")} (e)`}
            leftSection={<Icon name="error" sizePx={13} />} onClick={() => step(errors, 1)}
          >
            {t("traces.errors", { n: errors.length })}
          </Button>
        )}
        <span className={classes.buttons}>
          {!isWhole(view, tree.durationNs) && (
            <Button size="compact-sm" variant="default" onClick={() => props.onView(whole(tree.durationNs))}>
              {t("traces.keyWhole")}
            </Button>
          )}
          <Button size="compact-sm" variant="subtle" onClick={folding.collapsed.size > 0 ? folding.unfoldAll : folding.foldAll}>
            {folding.collapsed.size > 0 ? t("traces.unfoldAll") : t("traces.foldAll")}
          </Button>
        </span>
      </div>
      <Services {...props} />
      <Troubles tree={tree} isTruncated={props.isTruncated} onSelect={onSelect} />
    </div>
  );
}

interface StepProps {
  readonly icon: "up" | "down";
  readonly label: string;
  readonly onClick: () => void;
}

function Step({ icon, label, onClick }: StepProps) {
  return (
    <Tooltip label={label}>
      <ActionIcon aria-label={label} onClick={onClick}>
        <Icon name={icon} sizePx={14} />
      </ActionIcon>
    </Tooltip>
  );
}

function Services({ tree, colors }: Props) {
  const t = useT();
  return (
    <ul className={classes.services} aria-label={t("traces.services")}>
      {tree.services.map(({ service, spans }) => (
        <li key={service} title={t("traces.spans", { n: spans })}>
          <span className={classes.swatch} style={{ background: colors.get(service) }} />
          {service === "" ? "–" : service}
          <span className="muted">{spans}</span>
        </li>
      ))}
      <li className={classes.key}><span className={classes.ownKey} />{t("traces.keyOwn")}</li>
      <li><span className={classes.paleKey} />{t("traces.keyBelow")}</li>
      <li><span className={classes.pathKey} />{t("traces.keyPath")}</li>
    </ul>
  );
}

interface TroublesProps {
  readonly tree: TraceTree;
  readonly isTruncated: boolean;
  readonly onSelect: (key: string) => void;
}

function Troubles({ tree, isTruncated, onSelect }: TroublesProps) {
  const t = useT();
  const first = (isWanted: (at: number) => boolean) => {
    const key = tree.nodes.find((_, at) => isWanted(at))?.key;
    if (key !== undefined) onSelect(key);
  };
  return (
    <>
      {isTruncated && <Trouble text={t("traces.truncated", { n: tree.nodes.length - tree.missing })} />}
      {tree.missing > 0 && (
        <Trouble
          text={t("traces.missing", { n: tree.missing })}
          onShow={() => first((at) => tree.nodes[at]?.span === null)}
        />
      )}
      {tree.early > 0 && (
        <Trouble
          text={t("traces.earlyMany", { n: tree.early })}
          onShow={() => first((at) => (tree.nodes[at]?.earlyNs ?? 0) > 0)}
        />
      )}
    </>
  );
}

function Trouble({ text, onShow }: { readonly text: string; readonly onShow?: () => void }) {
  const t = useT();
  return (
    <div className={classes.trouble}>
      <Icon name="warning" sizePx={14} />
      <span>{text}</span>
      {onShow !== undefined && (
        <button type="button" className={classes.show} onClick={onShow}>{t("traces.showFirst")}</button>
      )}
    </div>
  );
}
