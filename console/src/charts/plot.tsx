/** uPlot in React: made again when its options change, fed when its data do, as wide as its place. */

import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import classes from "./charts.module.css";

export type PlotOptions = Omit<uPlot.Options, "width" | "height">;

interface Props {
  readonly options: PlotOptions;
  readonly data: uPlot.AlignedData;
  readonly heightPx: number;
  readonly label: string;
  /** Drawn again when it changes, also if the data do not: the range of time. */
  readonly revision: string;
}

export function Plot({ options, data, heightPx, label, revision }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const newest = useRef(data);

  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const widthPx = () => Math.max(40, Math.floor(element.clientWidth));
    const made = new uPlot({ ...options, width: widthPx(), height: heightPx }, newest.current, element);
    plot.current = made;
    const watcher = new ResizeObserver(() => {
      if (widthPx() !== made.width) made.setSize({ width: widthPx(), height: heightPx });
    });
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [options, heightPx]);

  useEffect(() => {
    newest.current = data;
    plot.current?.setData(data);
  }, [data, revision]);

  return <div ref={place} className={classes.plot} style={{ height: heightPx }} role="img" aria-label={label} />;
}
