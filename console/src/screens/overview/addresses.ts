/** Where senders reach us, as the page itself reaches us. */

import type { Status } from "~/api/sources";

interface Page {
  readonly hostname: string;
  readonly origin: string;
}

/**
 * The OTLP/HTTP port by the page's own host name: what a server behind a name is bound to says
 * nothing to senders elsewhere. The page's port takes OTLP too, so it does where there is no other.
 */
export function otlpEndpoint(listening: Status["listening"], page: Page): string {
  const otlp = listening.find((one) => /otlp.?http/i.test(one.protocol));
  const port = /:(\d+)$/.exec(otlp?.address ?? "")?.[1];
  return port === undefined ? page.origin : `http://${page.hostname}:${port}`;
}
