/** Which senders are looked for. */

import type { Signal } from "~/api/overview";
import type { Sender } from "~/api/sources";

/** `match` is a part of the service or the node, whatever its case. */
export function isAmong(sender: Sender, signal: Signal | undefined, match: string): boolean {
  if (signal !== undefined && sender.signal !== signal) return false;
  const part = match.trim().toLowerCase();
  return sender.service.toLowerCase().includes(part) || sender.node.toLowerCase().includes(part);
}
