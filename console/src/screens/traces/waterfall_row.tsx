/** One span of the waterfall: its place in the tree at the left, its time at the right. */

import { memo } from "react";
import type { LogRow } from "~/api/logs";
import { duration } from "~/format/durations";
import { nanosecondsOf } from "~/format/times";
import { useT } from "~/i18n/use_t";
import { Icon } from "~/parts/icon";
import { severityOf } from "~/theme";
import type { Piece } from "./critical_path";
import type { TraceNode } from "./trace_tree";
import { share, type Viewport } from "./viewport";
import classes from "./waterfall.module.css";

export interface RowProps {
  readonly node: TraceNode;
  readonly own: readonly Piece[];
  readonly critical: readonly Piece[] | undefined;
  readonly logs: readonly LogRow[] | undefined;
  readonly traceStartNs: bigint;
  readonly color: string;
  readonly view: Viewport;
  readonly indentPx: number;
  readonly isCollapsed: boolean;
  readonly isSelected: boolean;
  readonly isFound: boolean;
  readonly topPx: number;
  readonly onSelect: (key: string) => void;
  readonly onToggle: (key: string) => void;
}

export const ROW_PX = 26;

export const WaterfallRow = memo(function WaterfallRow(props: RowProps) {
  const { node, topPx, isSelected, isFound } = props;
  const name = node.span === null ? "" : `${node.span.service} ${node.span.name}`;
  return (
    <div
      className={classes.row} style={{ transform: `translateY(${topPx}px)`, height: ROW_PX }}
      role="treeitem" aria-level={node.depth + 1} aria-selected={isSelected} aria-label={name}
      aria-expanded={node.below === 0 ? undefined : !props.isCollapsed}
      data-found={isFound || undefined} data-missing={node.span === null || undefined}
      onClick={() => props.onSelect(node.key)}
    >
      <NameCell {...props} />
      <TimeCell {...props} />
    </div>
  );
});

function NameCell({ node, color, indentPx, isCollapsed, onToggle }: RowProps) {
  const t = useT();
  const { span } = node;
  const guides = node.depth * indentPx;
  return (
    <div className={classes.name}>
      <span
        className={classes.guides}
        style={{ width: guides, backgroundSize: `${Math.max(1, indentPx)}px 100%` }}
      />
      {node.below > 0 ? (
        <button
          type="button" className={classes.fold} tabIndex={-1}
          aria-label={isCollapsed ? t("traces.unfold", { n: node.below }) : t("traces.fold", { n: node.below })}
          onClick={(event) => {
            event.stopPropagation();
            onToggle(node.key);
          }}
        >
          <Icon name={isCollapsed ? "right" : "down"} sizePx={11} />
        </button>
      ) : (
        <span className={classes.fold} />
      )}
      <span className={classes.serviceMark} style={{ background: color }} />
      {span === null ? (
        <span className={classes.nameText} title={node.spanId}>
          <em>{t("traces.missingSpan")}</em>
          <span className="muted mono">{` ${node.spanId}`}</span>
        </span>
      ) : (
        <span className={classes.nameText} title={`${span.service} · ${span.name}`}>
          {span.name === "" ? "–" : span.name}
          <span className={classes.service}>{`  ${span.service}`}</span>
        </span>
      )}
      <Marks node={node} isCollapsed={isCollapsed} />
    </div>
  );
}

function Marks({ node, isCollapsed }: { readonly node: TraceNode; readonly isCollapsed: boolean }) {
  const t = useT();
  const isError = node.span?.status === "ERROR";
  const hidden = isCollapsed ? node.below : 0;
  return (
    <span className={classes.marks}>
      {hidden > 0 && <span className={classes.hiddenCount}>{`+${hidden}`}</span>}
      {node.earlyNs > 0 && (
        <span className={classes.clock} role="img" title={t("traces.early", { length: duration(node.earlyNs) })}
          aria-label={t("traces.early", { length: duration(node.earlyNs) })}
        >
          <Icon name="clock" sizePx={13} />
        </span>
      )}
      {isError ? (
        <span className={classes.error} role="img" aria-label={t("traces.failed")} title={node.span.status_message}>
          <Icon name="error" sizePx={13} />
        </span>
      ) : (
        isCollapsed && node.errorsBelow > 0 && (
          <span className={classes.errorBelow} role="img" aria-label={t("traces.failedBelow", { n: node.errorsBelow })}
            title={t("traces.failedBelow", { n: node.errorsBelow })}
          >
            <Icon name="error" sizePx={13} />
          </span>
        )
      )}
    </span>
  );
}

const percentOf = (value: number) => `${(value * 100).toFixed(4)}%`;

function TimeCell({ node, own, critical, logs, color, view, traceStartNs }: RowProps) {
  const t = useT();
  const from = share(node.startNs, view);
  const to = share(node.endNs, view);
  const isOut = to < 0 || from > 1;
  const isError = node.span?.status === "ERROR";
  return (
    <div className={classes.time} data-time>
      {isOut ? (
        <span className={classes.away} data-side={to < 0 ? "left" : "right"} aria-hidden>
          <Icon name={to < 0 ? "left" : "right"} sizePx={11} />
        </span>
      ) : (
        <>
          <div
            className={classes.bar} data-error={isError || undefined} data-missing={node.span === null || undefined}
            style={{ left: percentOf(Math.max(-0.01, from)), right: percentOf(1 - Math.min(1.01, to)), color }}
          />
          {node.span !== null && <Pieces pieces={own} view={view} className={classes.own} color={color} />}
          {critical !== undefined && <Pieces pieces={critical} view={view} className={classes.critical} />}
          {isError && <div className={classes.errorEnd} style={{ left: percentOf(Math.min(1, to)) }} />}
          <BarLabel node={node} from={from} to={to} />
        </>
      )}
      {(node.span?.events ?? []).map((event, at) => (
        <Tick
          key={at} at={share(Number(nanosecondsOf(event.timestamp) - traceStartNs), view)}
          className={event.name === "exception" ? classes.exceptionTick : classes.eventTick}
          title={`${t("traces.event")}: ${event.name}`}
        />
      ))}
      {logs?.map((row) => (
        <Tick
          key={row.id} at={share(Number(nanosecondsOf(row.timestamp) - traceStartNs), view)}
          className={classes.logTick} title={`${row.severity} ${row.body.slice(0, 200)}`}
          color={`var(--tl-${severityOf(row.severity).toLowerCase()})`}
        />
      ))}
    </div>
  );
}

interface PiecesProps {
  readonly pieces: readonly Piece[];
  readonly view: Viewport;
  readonly className: string | undefined;
  readonly color?: string;
}

const PIECES_MAX = 200;

function Pieces({ pieces, view, className, color }: PiecesProps) {
  return pieces.slice(0, PIECES_MAX).map(([fromNs, toNs]) => {
    const [from, to] = [Math.max(-0.01, share(fromNs, view)), Math.min(1.01, share(toNs, view))];
    if (to <= 0 || from >= 1) return null;
    return (
      <div
        key={fromNs} className={className}
        style={{ left: percentOf(from), width: percentOf(to - from), ...(color === undefined ? {} : { color }) }}
      />
    );
  });
}

/** Beside the bar, at the side that has room; inside of it when neither has. */
function BarLabel({ node, from, to }: { readonly node: TraceNode; readonly from: number; readonly to: number }) {
  const text = node.span === null ? "" : duration(node.span.duration_ns);
  if (to < 0.88) return <span className={classes.barLabel} style={{ left: percentOf(Math.max(0, to)) }}>{text}</span>;
  if (from > 0.12) return <span className={classes.barLabel} style={{ right: percentOf(1 - from) }}>{text}</span>;
  return <span className={classes.barLabel} data-inside style={{ left: percentOf(Math.max(0, from)) }}>{text}</span>;
}

interface TickProps {
  readonly at: number;
  readonly className: string | undefined;
  readonly title: string;
  readonly color?: string;
}

function Tick({ at, className, title, color }: TickProps) {
  if (at < 0 || at > 1) return null;
  return (
    <span
      className={className} title={title}
      style={{ left: percentOf(at), ...(color === undefined ? {} : { background: color }) }}
    />
  );
}
