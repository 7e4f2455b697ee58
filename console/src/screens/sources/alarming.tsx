/** A value that wants to be seen, if it is one. */

import type { ReactNode } from "react";
import classes from "./sources.module.css";

export function Alarming({ isSo, children }: { readonly isSo: boolean; readonly children: ReactNode }) {
  return <span className={isSo ? classes.alarming : "muted"}>{children}</span>;
}
