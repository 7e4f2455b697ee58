/**
 * What the builder can say, as PromQL and back: a metric with matchers, a function over it, and
 * series put together. A query that says more is left to the text.
 */

import { isPlainLabel, isPlainName, type Piece, pieces, quoted } from "./promql_text";

export const MATCH_OPS = ["=", "!=", "=~", "!~"] as const;
export type MatchOp = (typeof MATCH_OPS)[number];

export interface LabelMatch {
  readonly label: string;
  readonly op: MatchOp;
  readonly value: string;
}

/** Functions over a window of samples. */
export const WINDOWED = [
  "rate", "increase", "irate", "delta", "deriv", "avg_over_time", "min_over_time", "max_over_time", "sum_over_time",
  "count_over_time", "last_over_time",
] as const;
export const AGGREGATIONS = ["sum", "avg", "min", "max", "count", "stddev", "topk", "bottomk"] as const;
const COUNTED = new Set<string>(["topk", "bottomk"]);

export interface Built {
  readonly metric: string;
  readonly matchers: readonly LabelMatch[];
  /** Empty: the value as it is. */
  readonly fn: string;
  readonly window: string;
  /** Empty: each series. */
  readonly agg: string;
  readonly by: readonly string[];
  readonly isWithout: boolean;
  /** Of topk and bottomk. */
  readonly most: string;
  /** Of classic histograms; empty: none. */
  readonly quantile: string;
}

export const NOTHING_BUILT: Built = {
  metric: "", matchers: [], fn: "", window: "5m", agg: "", by: [], isWithout: false, most: "5", quantile: "",
};

export function printBuilt(built: Built): string {
  if (built.metric === "" && built.matchers.length === 0) return "";
  let text = selector(built);
  if (built.fn !== "") text = `${built.fn}(${text}[${built.window}])`;
  if (built.agg !== "") {
    const names = built.by.map((name) => (isPlainLabel(name) ? name : quoted(name))).join(", ");
    const grouping = built.by.length === 0 && !built.isWithout ? "" : ` ${built.isWithout ? "without" : "by"} (${names})`;
    text = `${built.agg}${grouping}${grouping === "" ? "" : " "}(${COUNTED.has(built.agg) ? `${built.most}, ` : ""}${text})`;
  }
  return built.quantile === "" ? text : `histogram_quantile(${built.quantile}, ${text})`;
}

function selector({ metric, matchers }: Built): string {
  const isPlain = isPlainName(metric);
  const inside = [
    ...(isPlain || metric === "" ? [] : [quoted(metric)]),
    ...matchers.map(({ label, op, value }) => `${isPlainLabel(label) ? label : quoted(label)}${op}${quoted(value)}`),
  ].join(", ");
  return `${isPlain ? metric : ""}${inside === "" && isPlain ? "" : `{${inside}}`}`;
}

/** Null when the builder cannot show it. */
export function readBuilt(expr: string): Built | null {
  if (expr.trim() === "") return NOTHING_BUILT;
  const reader = new Reader(pieces(expr));
  const built = reader.whole();
  return built !== null && reader.isAtEnd ? built : null;
}

class Reader {
  private at = 0;

  constructor(private readonly all: readonly Piece[]) {}

  get isAtEnd(): boolean {
    return this.at === this.all.length;
  }

  whole(): Built | null {
    if (!this.takesCall("histogram_quantile")) return this.together();
    const quantile = this.takeKind("number");
    if (quantile === null || !this.takes(",")) return null;
    const inner = this.together();
    return inner !== null && this.takes(")") ? { ...inner, quantile } : null;
  }

  private together(): Built | null {
    const name = this.peek()?.text ?? "";
    const after = this.all[this.at + 1]?.text ?? "";
    if (!(AGGREGATIONS as readonly string[]).includes(name) || !/^(?:\(|by|without)$/.test(after)) return this.over();
    this.at += 1;
    const before = this.grouping();
    if (before === null || !this.takes("(")) return null;
    let most = NOTHING_BUILT.most;
    if (COUNTED.has(name)) {
      most = this.takeKind("number") ?? "";
      if (most === "" || !this.takes(",")) return null;
    }
    const inner = this.over();
    if (inner === null || !this.takes(")")) return null;
    const grouped = before.isThere ? before : this.grouping();
    return grouped === null ? null : { ...inner, agg: name, most, by: grouped.by, isWithout: grouped.isWithout };
  }

  private grouping(): { isThere: boolean; by: string[]; isWithout: boolean } | null {
    const word = this.peek()?.text;
    if (word !== "by" && word !== "without") return { isThere: false, by: [], isWithout: false };
    this.at += 1;
    if (!this.takes("(")) return null;
    const by: string[] = [];
    while (!this.takes(")")) {
      const name = this.takeKind("word") ?? this.takeKind("text");
      if (name === null) return null;
      by.push(name);
      if (!this.takes(",") && this.peek()?.text !== ")") return null;
    }
    return { isThere: true, by, isWithout: word === "without" };
  }

  private over(): Built | null {
    const fn = WINDOWED.find((one) => this.takesCall(one));
    if (fn === undefined) return this.selected();
    const inner = this.selected();
    if (inner === null || !this.takes("[")) return null;
    const window = this.takeKind("number");
    return window !== null && this.takes("]") && this.takes(")") ? { ...inner, fn, window } : null;
  }

  private selected(): Built | null {
    let metric = this.takeKind("word") ?? "";
    const matchers: LabelMatch[] = [];
    if (this.takes("{")) {
      while (!this.takes("}")) {
        const label = this.takeKind("word") ?? this.takeKind("text");
        const op = MATCH_OPS.find((one) => this.takes(one));
        if (label === null) return null;
        if (op === undefined) {
          if (metric !== "") return null;
          metric = label;
        } else {
          const value = this.takeKind("text");
          if (value === null) return null;
          if (label === "__name__" && op === "=" && metric === "") metric = value;
          else matchers.push({ label, op, value });
        }
        if (!this.takes(",") && this.peek()?.text !== "}") return null;
      }
    }
    return metric === "" && matchers.length === 0 ? null : { ...NOTHING_BUILT, metric, matchers };
  }

  private peek(): Piece | undefined {
    return this.all[this.at];
  }

  private takes(sign: string): boolean {
    const piece = this.peek();
    if (piece?.kind !== "sign" || piece.text !== sign) return false;
    this.at += 1;
    return true;
  }

  private takeKind(kind: Piece["kind"]): string | null {
    const piece = this.peek();
    if (piece?.kind !== kind) return null;
    this.at += 1;
    return piece.text;
  }

  private takesCall(name: string): boolean {
    const [word, sign] = [this.peek(), this.all[this.at + 1]];
    if (word?.kind !== "word" || word.text !== name || sign?.text !== "(") return false;
    this.at += 2;
    return true;
  }
}
