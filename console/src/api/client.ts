/** The one way to the API: typed by our own OpenAPI document, as whoever is signed in. */
import createClient, { type Middleware } from "openapi-fetch";
import { shown } from "./organization";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** What a form shows beside a field. */
export interface FieldError {
  field: string;
  reason: string;
}

/** A refusal, in the API's one shape; `status` is 0 when no answer came at all. */
export class ApiError extends Error {
  override name = "ApiError";
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: FieldError[],
    readonly requestId: string,
  ) {
    super(message);
  }

  /** Whether asking again may help. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Called once when the session is over: the shell goes to the sign-in page. */
let signedOut = (): void => undefined;
export function onSignedOut(then: () => void): void {
  signedOut = then;
}

const manners: Middleware = {
  onRequest({ request }) {
    if (shown.organization) request.headers.set("HUM-Organization", shown.organization);
  },
  async onResponse({ response }) {
    if (response.ok || response.status === 304) return undefined;
    const error = await readError(response);
    if (response.status === 401) signedOut();
    if (error.code === "organization_changed") location.assign("/"); // nothing on this page is where the session is now
    throw error;
  },
  onError({ error }) {
    if (error instanceof DOMException && error.name === "AbortError") return error;
    return new ApiError(0, "offline", "The server can't be reached.", [], "");
  },
};

const IN_PROGRESS = "idempotency_in_progress";
/** How long to wait before asking again for an answer that is being made. */
const IN_PROGRESS_MS = [300, 700, 1500, 3000, 5000, 8000];

/** Send a request. What is under way already under its key, as from another tab or before a break, is waited for: its answer is this one's. */
export async function send(request: Request): Promise<Response> {
  if (!request.headers.has("Idempotency-Key")) return fetch(request);
  for (const wait of IN_PROGRESS_MS) {
    // One after the other: each asks whether the first is done.
    // oxlint-disable-next-line no-await-in-loop
    const answer = await fetch(request.clone());
    // oxlint-disable-next-line no-await-in-loop
    if (answer.status !== 409 || (await readError(answer.clone())).code !== IN_PROGRESS) return answer;
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  return fetch(request);
}

/** Typed calls: `api.GET("/api/calls", {params: {query: {limit: 50}}})`. A refusal is thrown as an `ApiError`. */
export const api = createClient<paths>({ baseUrl: location.origin, fetch: send });
api.use(manners);

/** A refusal read from an answer, also where it isn't ours (a proxy's page). */
export async function readError(response: Response): Promise<ApiError> {
  const requestId = response.headers.get("x-request-id") ?? "";
  try {
    const { error } = (await response.json()) as { error: { code: string; message: string; details?: FieldError[]; request_id?: string } };
    const message = error.code === IN_PROGRESS ? "This is still being done. Look again in a moment." : error.message;
    return new ApiError(response.status, error.code, message, error.details ?? [], error.request_id ?? requestId);
  } catch {
    return new ApiError(response.status, "http", `The server answered ${response.status}.`, [], requestId);
  }
}

/** The data of an answer that has some. A refusal was thrown before. */
export async function data<T>(answer: Promise<{ data?: T }>): Promise<NonNullable<T>> {
  return (await answer).data as NonNullable<T>;
}

/** A key under which a POST may be sent again without being done twice. */
export function idempotencyKey(): string {
  return crypto.randomUUID();
}
