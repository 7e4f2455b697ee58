/** Numbers as people read them: few digits, units that fit the size. */

const MISSING = "–";
const THOUSANDS = ["", "k", "M", "G", "T", "P"] as const;
const BYTES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** Three significant digits, without trailing zeros: 0.0123, 1.5, 999. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1e21 || (size > 0 && size < 1e-6)) return value.toExponential(2);
  if (size >= 100) return String(Math.round(value));
  return String(Number(value.toPrecision(3)));
}

function scaled(value: number, base: number, units: readonly string[], gap: string): string {
  let rest = value;
  let at = 0;
  while (Math.abs(rest) >= base * 0.9995 && at < units.length - 1) {
    rest /= base;
    at += 1;
  }
  const unit = units[at] ?? "";
  return unit === "" ? digits(rest) : `${digits(rest)}${gap}${unit}`;
}

/** 1234567 as 1.23M. */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? MISSING : scaled(value, 1000, THOUSANDS, "");
}

/** Every digit, grouped: 1,234,567. */
export function exact(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

export function bytes(value: number | null | undefined): string {
  return value === null || value === undefined ? MISSING : scaled(value, 1024, BYTES, " ");
}

/** 0.1234 as 12.3%. */
export function percent(ratio: number | null | undefined): string {
  if (ratio === null || ratio === undefined) return MISSING;
  const value = ratio * 100;
  if (value > 0 && value < 0.1) return "<0.1%";
  return `${value >= 99.95 || value < 10 ? digits(value) : value.toFixed(1)}%`;
}

/** 1,500 as 1.5k/s; what happens less than once in ten seconds by the minute or the hour. */
export function perSecond(value: number | null | undefined): string {
  if (value === null || value === undefined) return MISSING;
  if (value <= 0 || value >= 0.1) return `${count(value)}/s`;
  return value >= 0.1 / 60 ? `${count(value * 60)}/min` : `${count(value * 3600)}/h`;
}
