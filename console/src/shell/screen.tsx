/** One screen: its title in the header and in the tab, its content below. */

import { createContext, type ReactNode, use } from "react";
import { createPortal } from "react-dom";
import classes from "./shell.module.css";

/** The element of the header that takes the title; the frame gives it. */
export const HeadContext = createContext<HTMLElement | null>(null);

function HeadPlace({ children }: { readonly children: ReactNode }) {
  const place = use(HeadContext);
  return place === null ? null : createPortal(children, place);
}

interface Props {
  readonly title: string;
  /** Beside the title, in the header. */
  readonly head?: ReactNode;
  /** The content takes the whole height and scrolls inside; else the page scrolls. */
  readonly isFilling?: boolean;
  readonly children: ReactNode;
}

export function Screen({ title, head, isFilling = false, children }: Props) {
  return (
    <>
      <title>{`${title} · Trilens`}</title>
      <HeadPlace>
        <h1 className={classes.screenTitle} title={title}>{title}</h1>
        {head}
      </HeadPlace>
      <div className={isFilling ? classes.filling : classes.scrolling}>{children}</div>
    </>
  );
}
