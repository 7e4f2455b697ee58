/**
 * How everything looks. One accent colour; severities have colours that people who do not see red
 * or green tell apart, and that mean nothing else.
 */

import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from "@mantine/core";

export type Scheme = "light" | "dark";
export const SEVERITIES = ["FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "UNSET"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** For marks and bars; texts use the -text variant, which reaches 4.5:1 on the surface. */
export const SEVERITY_COLORS: Readonly<Record<Scheme, Readonly<Record<Severity, string>>>> = {
  light: {
    FATAL: "#9c2f86", ERROR: "#cf4a00", WARN: "#dd9a00", INFO: "#4a8fc4", DEBUG: "#8795a5",
    TRACE: "#b4bfca", UNSET: "#9fb3bd",
  },
  dark: {
    FATAL: "#e07bc8", ERROR: "#f2702c", WARN: "#f0b429", INFO: "#5b9bd0", DEBUG: "#76848f",
    TRACE: "#4c5862", UNSET: "#5c6f78",
  },
};
const SEVERITY_TEXT: Readonly<Record<Scheme, Readonly<Record<Severity, string>>>> = {
  light: {
    FATAL: "#8a2375", ERROR: "#b23c00", WARN: "#8a5a00", INFO: "#2a6a9e", DEBUG: "#566371",
    TRACE: "#66727e", UNSET: "#66727e",
  },
  dark: {
    FATAL: "#f09bdc", ERROR: "#ff8a4c", WARN: "#f5c451", INFO: "#8cc0ea", DEBUG: "#a3b0bb",
    TRACE: "#8b98a3", UNSET: "#8b98a3",
  },
};

/** Surfaces and lines of each scheme, as CSS variables --tl-*. */
const SURFACES: Readonly<Record<Scheme, Readonly<Record<string, string>>>> = {
  light: {
    ground: "#f4f6f8", surface: "#ffffff", raised: "#ffffff", sunken: "#eef1f4", line: "#dbe1e7",
    "line-strong": "#bcc6d0", text: "#16202a", muted: "#55636f", faint: "#6a7884",
    accent: "#0a6cb8", "accent-soft": "#e2f0fb", hover: "#eef3f7", selected: "#dcecf9",
    good: "#0b7a5b", "on-accent": "#ffffff", mark: "#ffe9a8",
  },
  dark: {
    ground: "#0f1317", surface: "#161b21", raised: "#1d242c", sunken: "#11161b", line: "#28313a",
    "line-strong": "#3d4955", text: "#e4e9ee", muted: "#a2afba", faint: "#86939e",
    accent: "#56b4e9", "accent-soft": "#16303f", hover: "#1d252d", selected: "#1b3444",
    good: "#2fc49b", "on-accent": "#08131b", mark: "#6b5410",
  },
};

const ACCENT: MantineColorsTuple = [
  "#e6f4fd", "#cde7f8", "#9dd0f0", "#79c2ee", "#56b4e9",
  "#2d97d6", "#0a6cb8", "#095d9f", "#084e86", "#063b66",
];
/** For what cannot be undone. */
const DANGER: MantineColorsTuple = [
  "#fff1e8", "#ffdfcc", "#ffbd99", "#ff9c66", "#f2702c",
  "#de5a12", "#b23c00", "#963200", "#7a2900", "#5e1f00",
];
const DARK: MantineColorsTuple = [
  "#e4e9ee", "#a2afba", "#86939e", "#5c6873", "#3d4955",
  "#28313a", "#161b21", "#11161b", "#0f1317", "#0a0d10",
];
const MONOSPACE =
  'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", "Noto Sans Mono CJK KR", monospace';

export const theme = createTheme({
  primaryColor: "accent",
  primaryShade: { light: 6, dark: 4 },
  autoContrast: true,
  colors: { accent: ACCENT, danger: DANGER, dark: DARK },
  fontFamily: 'system-ui, -apple-system, "Segoe UI", "Noto Sans", "Noto Sans CJK KR", sans-serif',
  fontFamilyMonospace: MONOSPACE,
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.25rem" },
  spacing: { xs: "0.375rem", sm: "0.5rem", md: "0.75rem", lg: "1rem", xl: "1.5rem" },
  headings: { fontWeight: "600" },
  defaultRadius: 4,
  cursorType: "pointer",
  respectReducedMotion: true,
  components: {
    Button: { defaultProps: { size: "xs" } },
    TextInput: { defaultProps: { size: "xs" } },
    NumberInput: { defaultProps: { size: "xs" } },
    Select: { defaultProps: { size: "xs" } },
    MultiSelect: { defaultProps: { size: "xs" } },
    SegmentedControl: { defaultProps: { size: "xs" } },
    ActionIcon: { defaultProps: { variant: "subtle", color: "gray", size: "md" } },
    Modal: {
      defaultProps: { overlayProps: { backgroundOpacity: 0.55 }, transitionProps: { duration: 80 } },
      styles: {
        content: { background: "var(--tl-raised)", border: "1px solid var(--tl-line-strong)" },
        header: { background: "var(--tl-raised)" },
        title: { fontSize: "0.9375rem", fontWeight: 600 },
      },
    },
    Popover: {
      defaultProps: { transitionProps: { duration: 80 } },
      styles: { dropdown: { background: "var(--tl-raised)", borderColor: "var(--tl-line-strong)" } },
    },
    Tooltip: { defaultProps: { openDelay: 400, withArrow: true, fz: "xs" } },
  },
});

export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: variablesOf("light"),
  dark: variablesOf("dark"),
});

function variablesOf(scheme: Scheme): Record<string, string> {
  const found: Record<string, string> = {
    "--mantine-color-body": surfaceColor(scheme, "ground"),
    "--mantine-color-error": SEVERITY_TEXT[scheme].ERROR,
    "--mantine-color-placeholder": surfaceColor(scheme, "faint"),
  };
  for (const [name, color] of Object.entries(SURFACES[scheme])) found[`--tl-${name}`] = color;
  for (const severity of SEVERITIES) {
    found[`--tl-${severity.toLowerCase()}`] = SEVERITY_COLORS[scheme][severity];
    found[`--tl-${severity.toLowerCase()}-text`] = SEVERITY_TEXT[scheme][severity];
  }
  return found;
}

/** A surface colour by its --tl-* name, for canvases. */
export function surfaceColor(scheme: Scheme, name: string): string {
  return SURFACES[scheme][name] ?? "#888888";
}

export function severityOf(text: string): Severity {
  return SEVERITIES.find((one) => one === text.toUpperCase()) ?? "UNSET";
}
