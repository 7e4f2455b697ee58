/**
 * The spans of a trace over its time. Only the rows in sight are there, so that a trace of many
 * thousand spans moves like a small one. The ruler zooms by dragging, Ctrl and the wheel zoom at
 * the cursor, the wheel sideways moves.
 */

import { useVirtualizer } from "@tanstack/react-virtual";
import { type CSSProperties, type MouseEvent, useEffect, useMemo, useRef, useState } from "react";
import type { LogRow } from "~/api/logs";
import { useT } from "~/i18n/use_t";
import { criticalPath, ownPieces } from "./critical_path";
import { Ruler, ROWS_TOP_PX } from "./ruler";
import type { ServiceColors } from "./service_colors";
import type { TraceTree } from "./trace_tree";
import { useWheel } from "./use_wheel";
import { offset, share, type Viewport } from "./viewport";
import classes from "./waterfall.module.css";
import { ROW_PX, WaterfallRow } from "./waterfall_row";

interface Props {
  readonly tree: TraceTree;
  /** Places of the nodes that are not folded away. */
  readonly places: readonly number[];
  readonly collapsed: ReadonlySet<string>;
  readonly colors: ServiceColors;
  readonly logsOf: ReadonlyMap<string, readonly LogRow[]>;
  readonly selected: string | undefined;
  readonly found: ReadonlySet<number>;
  readonly view: Viewport;
  /** A moment to be marked: of the log row under the cursor. */
  readonly markNs: number | null;
  readonly onView: (view: Viewport) => void;
  readonly onSelect: (key: string) => void;
  readonly onToggle: (key: string) => void;
}

const INDENT_PX = 14;
const INDENT_PX_TOTAL = 168;
const NO_PIECES = [] as const;

export function Waterfall(props: Props) {
  const { tree, places, collapsed, colors, logsOf, selected, view, markNs } = props;
  const t = useT();
  const scroller = useRef<HTMLDivElement>(null);
  const [nameWidth, setNameWidth] = useState(() => (window.innerWidth < 1200 ? 240 : 340));
  const critical = useMemo(() => criticalPath(tree), [tree]);
  const indentPx = Math.min(INDENT_PX, INDENT_PX_TOTAL / Math.max(1, tree.depthMax));
  const virtual = useVirtualizer({
    count: places.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 10,
    paddingStart: ROWS_TOP_PX,
    scrollPaddingStart: ROWS_TOP_PX,
  });
  const selectedRow = selected === undefined ? -1 : places.indexOf(tree.placeOf.get(selected) ?? -1);
  useEffect(() => {
    if (selectedRow >= 0) virtual.scrollToIndex(selectedRow);
  }, [selectedRow, virtual]);
  useWheel(scroller, { view, nameWidth, durationNs: tree.durationNs, onView: props.onView });
  const cursor = useCursor(view);
  const style = { "--name-width": `${nameWidth}px` } as CSSProperties;
  return (
    <div
      ref={scroller} className={classes.waterfall} style={style} role="tree" tabIndex={0}
      aria-label={t("traces.waterfall")} onMouseMove={cursor.onMove} onMouseLeave={cursor.onLeave}
    >
      <Ruler
        view={view} durationNs={tree.durationNs} nameWidth={nameWidth} label={cursor.label}
        onView={props.onView} onNameWidth={setNameWidth}
      />
      <div className={classes.rows} style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const place = places[item.index] ?? -1;
          const node = tree.nodes[place];
          if (node === undefined) return null;
          return (
            <WaterfallRow
              key={node.key} node={node} topPx={item.start} view={view} indentPx={indentPx}
              own={node.below === 0 ? NO_PIECES : ownPieces(tree, place)} critical={critical.get(place)}
              logs={logsOf.get(node.key)} traceStartNs={tree.startNs}
              color={colors.get(node.span?.service ?? "") ?? "var(--tl-line-strong)"}
              isCollapsed={collapsed.has(node.key)} isSelected={node.key === selected}
              isFound={props.found.has(place)} onSelect={props.onSelect} onToggle={props.onToggle}
            />
          );
        })}
        {markNs !== null && <MomentLine at={share(markNs, view)} className={classes.markLine} />}
        <div ref={cursor.line} className={classes.cursorLine} />
      </div>
    </div>
  );
}

function MomentLine({ at, className }: { readonly at: number; readonly className: string | undefined }) {
  if (at < 0 || at > 1) return null;
  const left = `calc(var(--name-width) + (100% - var(--name-width)) * ${at})`;
  return <div className={className} style={{ left }} />;
}

/** The line under the mouse and its time, moved without drawing the rows again. */
function useCursor(view: Viewport) {
  const line = useRef<HTMLDivElement>(null);
  const label = useRef<HTMLSpanElement>(null);
  const show = (x: number | null, text: string) => {
    for (const element of [line.current, label.current]) {
      if (element === null) continue;
      element.style.display = x === null ? "none" : "block";
      element.style.left = `${x ?? 0}px`;
    }
    if (label.current !== null) label.current.textContent = text;
  };
  return {
    line,
    label,
    onMove: (event: MouseEvent<HTMLDivElement>) => {
      const box = event.currentTarget.getBoundingClientRect();
      const nameWidth = Number.parseFloat(event.currentTarget.style.getPropertyValue("--name-width"));
      const width = event.currentTarget.clientWidth - nameWidth;
      const x = event.clientX - box.left - nameWidth;
      if (x < 0 || x > width) {
        show(null, "");
        return;
      }
      const lengthNs = view.toNs - view.fromNs;
      const ns = view.fromNs + (x / Math.max(1, width)) * lengthNs;
      show(nameWidth + x, offset(ns, lengthNs / 1000, view.toNs));
    },
    onLeave: () => show(null, ""),
  };
}
