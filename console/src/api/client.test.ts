import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { setLanguage } from "@/i18n/language";
import { type Schemas, api } from "./client";

const refusal = (code: string): Response => Response.json({ error: { code, message: "A request with this key is in progress.", details: [], request_id: "req_1" } }, { status: 409 });
const note = { body: { body: "Call her back." }, params: { path: { call_id: "call_1" }, header: { "Idempotency-Key": "k" } } };

describe("a request whose key is in use", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  /** What is sent, and answered by these one after the other; the last for all that follow. */
  function server(...answers: (() => Response)[]): string[] {
    const bodies: string[] = [];
    vi.stubGlobal("fetch", async (request: Request) => {
      const answer = answers[Math.min(bodies.length, answers.length - 1)];
      bodies.push(await request.text());
      return answer?.() ?? Response.error();
    });
    return bodies;
  }

  it("has the answer of the one before it", async () => {
    const bodies = server(() => refusal("idempotency_in_progress"), () => refusal("idempotency_in_progress"), () => Response.json({ id: "note_1" }));
    const answer = api.POST("/api/calls/{call_id}/notes", note);
    await vi.runAllTimersAsync();
    expect((await answer).data).toEqual({ id: "note_1" });
    expect(bodies).toEqual(Array.from({ length: 3 }, () => '{"body":"Call her back."}'));
  });

  it("is told as what it is when that takes long", async () => {
    server(() => refusal("idempotency_in_progress"));
    const answer = api.POST("/api/calls/{call_id}/notes", note).catch((error: unknown) => error);
    await vi.runAllTimersAsync();
    expect(await answer).toMatchObject({ code: "idempotency_in_progress", message: "This is still being done. Look again in a moment." });
  });

  it("is refused at once for whatever else", async () => {
    const bodies = server(() => refusal("invalid_state"));
    await expect(api.POST("/api/calls/{call_id}/notes", note)).rejects.toMatchObject({ code: "invalid_state" });
    expect(bodies).toHaveLength(1);
  });

  it("is not sent again without a key", async () => {
    const bodies = server(() => refusal("idempotency_in_progress"));
    await expect(api.PATCH("/api/voicemails/{id}", { body: { heard: true }, params: { path: { id: "v" } } })).rejects.toMatchObject({ status: 409 });
    expect(bodies).toHaveLength(1);
  });
});

describe("a refusal", () => {
  afterEach(() => {
    setLanguage("en");
    vi.unstubAllGlobals();
  });

  /** What a request throws in Spanish when this is the answer. */
  async function refusedWith(answer: () => Response | Promise<Response>): Promise<unknown> {
    setLanguage("es");
    vi.stubGlobal("fetch", async () => answer());
    return api.GET("/api/contacts").catch((error: unknown) => error);
  }

  it("is in the reader's language, with the API's own words beside it", async () => {
    const error = { code: "invalid_request", message: "Some fields are invalid.", details: [{ field: "name", reason: "must be at most 200 characters" }, { field: "x", reason: "is odd" }, { plan: "start" }], request_id: "req_1" };
    expect(await refusedWith(() => Response.json({ error }, { status: 400 }))).toMatchObject({
      message: "Algunos campos no son válidos.",
      details: [{ field: "name", reason: "debe tener como máximo 200 caracteres", said: "must be at most 200 characters" }, { field: "x", reason: "is odd" }, { plan: "start" }],
      requestId: "req_1",
    });
  });

  it.each([
    ["of a proxy", () => new Response("<h1>Bad gateway</h1>", { status: 502 }), "El servidor respondió 502."],
    ["of no shape", () => Response.json({ fault: "?" }, { status: 500 }), "El servidor respondió 500."],
    ["of another shape", () => Response.json({ error: "Bad gateway" }, { status: 502 }), "El servidor respondió 502."],
    ["that never came", () => Promise.reject(new TypeError("fetch failed")), "No se puede contactar con el servidor."],
  ])("%s is the console's own", async (_, answer, message) => expect(await refusedWith(answer)).toMatchObject({ message }));
});

describe("a body", () => {
  it("can't hold what only answers have", () => {
    const sent: Schemas["ConversationPatch"][] = [];
    const answer = { ai_paused: true, ai_paused_reason: "human" };
    // @ts-expect-error a field that is read-only
    sent.push(answer);
    expect(sent).toHaveLength(1);
  });
});
