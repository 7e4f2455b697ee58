/** One question to /api/console: parameters, answer, and errors in their one shape. */

export type Parameter = string | number | undefined;
export type Parameters = Readonly<Record<string, Parameter>>;
type Method = "GET" | "POST" | "DELETE";

const BASE = "/api/console";

/** `code` is one of the server's, or `unreachable` when there was no answer at all. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly code: string,
    message: string,
    readonly status: number,
    /** Characters before the mistake in the query text. */
    readonly position: number | null = null,
  ) {
    super(message);
  }

  /** The same question may be answered later. */
  get isPassing(): boolean {
    return this.status === 503 || this.code === "unreachable";
  }
}

export function urlOf(path: string, parameters: Parameters = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return `${BASE}${path}${text === "" ? "" : `?${text}`}`;
}

/** Throws ApiError; an abort by `signal` is thrown as it is. */
export async function ask<Answer>(
  path: string,
  options: { parameters?: Parameters; signal?: AbortSignal; method?: Method } = {},
): Promise<Answer> {
  const { parameters, signal, method = "GET" } = options;
  const reply = await answered(urlOf(path, parameters), { method, signal: signal ?? null });
  const body: unknown = await reply.json().catch(() => null);
  if (!reply.ok) throw errorOf(reply.status, body);
  if (body === null) throw new ApiError("broken", "the answer is not JSON", reply.status);
  return body as Answer;
}

async function answered(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, headers: { Accept: "application/json" } });
  } catch (error) {
    if (init.signal?.aborted === true) throw error;
    throw new ApiError("unreachable", "the server cannot be reached", 0);
  }
}

export function errorOf(status: number, body: unknown): ApiError {
  const error = typeof body === "object" && body !== null && "error" in body ? body.error : null;
  if (typeof error !== "object" || error === null || !("code" in error) || !("message" in error)) {
    return new ApiError("broken", `the server answered ${status}`, status);
  }
  const position = "position" in error && typeof error.position === "number" ? error.position : null;
  return new ApiError(String(error.code), String(error.message), status, position);
}
