/** Copies a text; says so for a moment. */

import { ActionIcon, Tooltip } from "@mantine/core";
import { useEffect, useState } from "react";
import { useT } from "~/i18n/use_t";
import { Icon } from "./icon";

const SHOWN_MS = 1500;

export function CopyButton({ text, label }: { readonly text: string; readonly label?: string }) {
  const t = useT();
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return undefined;
    const timer = window.setTimeout(() => setCopied(false), SHOWN_MS);
    return () => window.clearTimeout(timer);
  }, [isCopied]);
  const name = isCopied ? t("parts.copied") : (label ?? t("parts.copy"));
  return (
    <Tooltip label={name}>
      <ActionIcon size="sm" aria-label={name} onClick={() => void copied(text).then(setCopied)}>
        <Icon name={isCopied ? "check" : "copy"} sizePx={14} />
      </ActionIcon>
    </Tooltip>
  );
}

/** Outside of a secure context (plain HTTP by another name) there is no clipboard; selecting is left. */
async function copied(text: string): Promise<boolean> {
  if (!("clipboard" in navigator)) return copiedBySelection(text);
  return navigator.clipboard.writeText(text).then(
    () => true,
    () => copiedBySelection(text),
  );
}

function copiedBySelection(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed";
  area.style.opacity = "0";
  document.body.append(area);
  area.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way without a secure context
  const isDone = document.execCommand("copy");
  area.remove();
  return isDone;
}
