/** The one way to the API: typed by our own OpenAPI document, as whoever is signed in. */
import createClient, { type Middleware } from "openapi-fetch";
import { textsOf } from "@/i18n";
import { inReadersLanguage } from "@/i18n/refusals";
import { shown } from "./organization";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** What a form shows beside a field. */
export interface FieldError {
  field: string;
  /** In the reader's language. */
  reason: string;
  /** What the API said, where that is not what is shown. */
  said?: string;
}

/** A refusal, in the API's one shape and the reader's language; `status` is 0 when no answer came at all. */
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
  async onError({ error }) {
    if (error instanceof DOMException && error.name === "AbortError") return error;
    return new ApiError(0, "offline", (await textsOf("shell")).noAnswer(0), [], "");
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
    if (answer.status !== 409 || (await refusalIn(answer.clone()))?.code !== IN_PROGRESS) return answer;
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  return fetch(request);
}

/** Typed calls: `api.GET("/api/calls", {params: {query: {limit: 50}}})`. A refusal is thrown as an `ApiError`. */
export const api = createClient<paths>({ baseUrl: location.origin, fetch: send });
api.use(manners);

/** A refusal read from an answer, also where it isn't ours (a proxy's page): here it becomes the reader's language, for all who show it. */
export async function readError(response: Response): Promise<ApiError> {
  const requestId = response.headers.get("x-request-id") ?? "";
  const refusal = await refusalIn(response);
  if (!refusal) return new ApiError(response.status, "http", (await textsOf("shell")).noAnswer(response.status), [], requestId);
  const { code, message, details, request_id } = await inReadersLanguage(refusal);
  return new ApiError(response.status, code, code === IN_PROGRESS ? (await textsOf("forms")).inProgress : message, details ?? [], request_id ?? requestId);
}

/** A refusal as the API writes it. */
export interface Refusal {
  code: string;
  message: string;
  details?: FieldError[];
  request_id?: string;
}

/** What the API said; nothing if it was another that answered. */
async function refusalIn(response: Response): Promise<Refusal | undefined> {
  try {
    const { error } = (await response.json()) as { error: Refusal };
    return typeof error.message === "string" ? error : undefined;
  } catch {
    return undefined;
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
