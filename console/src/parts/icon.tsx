/** The few drawings we need, on a grid of 16, in the colour of the text. */

import type { CSSProperties } from "react";

const PATHS = {
  overview: "M2.5 9.5 5 9.5 7 4 9.5 12 11 8 13.5 8",
  logs: "M3 4h10M3 8h10M3 12h6",
  traces: "M2.5 3.5h7M5 8h7M8 12.5h5.5",
  metrics: "M2.5 2.5v11h11M5 10.5l2.5-3 2 2 3.5-4.5",
  alerts: "M4 11V7a4 4 0 0 1 8 0v4l1.2 1.5H2.8zM6.6 14h2.8",
  sources: "M8 2.5v6.5M5 6.5l3 3 3-3M2.5 10v3.5h11V10",
  targets: "M8 13.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM8 10.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4zM8 1v3M8 12v3M1 8h3M12 8h3",
  notifications: "M2.5 8 14 2.5 10.5 13.5 7.5 9.2zM7.5 9.2 14 2.5",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.3 13.5 13.5",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.8V8l2.2 1.6",
  left: "M10 3.5 5.5 8l4.5 4.5",
  right: "M6 3.5 10.5 8 6 12.5",
  up: "M3.5 10 8 5.5l4.5 4.5",
  down: "M3.5 6 8 10.5 12.5 6",
  refresh: "M13 8a5 5 0 1 1-1.6-3.7M13 2.5v2.8h-2.8",
  zoomOut: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.3 13.5 13.5M5 7h4",
  play: "M5 3.5v9l7-4.5z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  sun: "M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM8 1.8v1.4M8 12.8v1.4M1.8 8h1.4M12.8 8h1.4M3.6 3.6l1 1M11.4 11.4l1 1M3.6 12.4l1-1M11.4 4.6l1-1",
  moon: "M13 9.6A5.5 5.5 0 0 1 6.4 3 5.5 5.5 0 1 0 13 9.6z",
  keyboard: "M1.8 4h12.4v8H1.8zM4 6.5h.5M6.7 6.5h.5M9.4 6.5h.5M12 6.5h.2M5 9.5h6",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5h7v8h-7zM3.5 10.5v-8h7",
  check: "M3 8.5l3.2 3L13 4.5",
  warning: "M8 2.5 14 13H2zM8 6.5v3M8 11.2v.3",
  error: "M5.4 2h5.2L14 5.4v5.2L10.6 14H5.4L2 10.6V5.4zM8 4.8v3.8M8 11v.3",
  filter: "M2 3.5h12L9.5 8.8v4L6.5 14V8.8z",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  link: "M6.5 9.5l3-3M7.5 4.5l1.7-1.7a2.8 2.8 0 0 1 4 4L11.5 8.5M8.5 11.5l-1.7 1.7a2.8 2.8 0 0 1-4-4L4.5 7.5",
  trash: "M3 4.5h10M6 4.5v-2h4v2M4.3 4.5l.7 9h6l.7-9",
  replay: "M3 8a5 5 0 1 0 1.6-3.7M3 2.5v2.8h2.8",
  panel: "M2 3h12v10H2zM6 3v10",
  info: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.2v4M8 4.8v.3",
  host: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.3M5 11h.3",
  list: "M2.5 4h.5M2.5 8h.5M2.5 12h.5M5.5 4h8M5.5 8h8M5.5 12h8",
} as const;

export type IconName = keyof typeof PATHS;

interface Props {
  readonly name: IconName;
  readonly sizePx?: number;
  readonly style?: CSSProperties;
}

export function Icon({ name, sizePx = 16, style }: Props) {
  return (
    <svg
      width={sizePx} height={sizePx} viewBox="0 0 16 16" fill="none" stroke="currentColor"
      strokeWidth={1.4} strokeLinecap="round" strokeLinejoin="round" aria-hidden
      style={{ flex: "none", ...style }}
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
