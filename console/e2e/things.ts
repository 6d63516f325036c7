/** What journeys begin with: numbers and agents of their own. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page, Person } from "./journey.ts";

export interface Number {
  id: string;
  e164: string;
}

const AREAS = ["212", "303", "312", "317", "404", "415", "503", "512", "602", "617", "702", "713"];

/** A number that nobody else has. Another journey may buy the same one first. */
export async function ownNumber(admin: Person): Promise<Number> {
  for (const area of AREAS.toSorted(() => Math.random() - 0.5)) {
    const { numbers } = await admin.api<{ numbers: { e164: string }[] }>("GET", `/api/numbers/available?country=US&area_code=${area}&limit=20`);
    for (const { e164 } of numbers) {
      const bought = await admin.page.request.post(`${admin.url}/api/numbers/buy`, { headers: { Origin: admin.url }, data: { e164 } });
      if (bought.ok()) return (await bought.json()) as Number;
    }
  }
  throw new Error("no number is for sale");
}

/** One that texts; `agent` are the fields of the agent that answers there. */
export async function textNumber(admin: Person, agent?: Record<string, unknown>): Promise<Number> {
  const number = await ownNumber(admin);
  const flow = agent && (await admin.api<{ id: string }>("POST", "/api/flows", { name: "Texts", channel: "sms", ...agent }));
  await admin.api("PATCH", `/api/numbers/${number.id}`, { sms_enabled: true, ...(flow ? { sms_flow_id: flow.id } : {}) });
  return number;
}

/** One that a receptionist answers by voice; `agent` are further fields of theirs. */
export async function clinic(admin: Person, agent: Record<string, unknown> = {}): Promise<Number & { flowId: string }> {
  const number = await ownNumber(admin);
  const flow = await admin.api<{ id: string }>("POST", "/api/flows", {
    name: "Front desk",
    greeting: "Thank you for calling the clinic. How can I help you today?",
    system_prompt: "You are the receptionist of a dental clinic. Offer times, and book what the caller chooses.",
    recording_enabled: true,
    turn_config_json: { eagerness: "medium" },
    ...agent,
  });
  await admin.api("PATCH", `/api/numbers/${number.id}`, { flow_id: flow.id });
  return { ...number, flowId: flow.id };
}

export function stranger(): string {
  return `+1317555${String(Math.floor(1000 + Math.random() * 8999))}`;
}

/** Confirm in the dialog that asks; `typed` is what must be typed first. */
export async function confirm(page: Page, verb: string, typed?: string): Promise<void> {
  const dialog = page.getByRole("dialog").last();
  if (typed !== undefined) await dialog.getByRole("textbox").fill(typed);
  await dialog.getByRole("button", { name: verb, exact: true }).click();
}

/** What the API has of one kind, as it is now. */
export function listed<T>(admin: Person, path: string, name: string): () => Promise<T[]> {
  return async () => {
    const found = (await admin.api<Record<string, T[]>>("GET", path))[name];
    if (!found) throw new Error(`${path} has no ${name}`);
    return found;
  };
}

/** A customer's server, which answers as a test says and keeps what it got: webhooks, a shop's API, a CRM, a page, an MCP server at `/mcp`. */
export class Customer implements AsyncDisposable {
  readonly got: { method: string; path: string; body: string; authorization: string }[] = [];
  /** What is answered at a path; 204 elsewhere. */
  readonly answers = new Map<string, { status?: number; type?: string; body: string }>();
  /** The tools of the MCP server, by name, with their descriptions. */
  tools: Record<string, string> = { find_order: "Finds an order." };
  url = "";
  readonly #server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString()));
    request.on("end", () => {
      const [path = ""] = request.url?.split("?") ?? [];
      this.got.push({ method: request.method ?? "", path: request.url ?? "", body, authorization: request.headers.authorization ?? "" });
      const answer = path === "/mcp" ? this.#mcp(request.method, body) : this.answers.get(path);
      response.writeHead(answer?.status ?? (answer ? 200 : 204), { "Content-Type": answer?.type ?? "application/json" }).end(answer?.body);
    });
  });

  static async serve(): Promise<Customer> {
    const customer = new Customer();
    await new Promise<void>((resolve) => customer.#server.listen(0, "127.0.0.1", resolve));
    customer.url = `http://127.0.0.1:${(customer.#server.address() as AddressInfo).port}`;
    return customer;
  }

  #mcp(method: string | undefined, body: string): { status?: number; type?: string; body: string } {
    if (method !== "POST") return { status: 405, body: "" };
    const asked = JSON.parse(body) as { id?: number; method: string; params?: { protocolVersion?: string } };
    const result = {
      initialize: { protocolVersion: asked.params?.protocolVersion ?? "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "shop", version: "1" } },
      "tools/list": { tools: Object.entries(this.tools).map(([name, description]) => ({ name, description, inputSchema: { type: "object", properties: { order: { type: "string" } } } })) },
    }[asked.method];
    if (asked.id === undefined) return { status: 202, body: "" };
    const unknown = { error: { code: -32_601, message: "Method not found" } };
    return { body: JSON.stringify({ jsonrpc: "2.0", id: asked.id, ...(result ? { result } : unknown) }) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
