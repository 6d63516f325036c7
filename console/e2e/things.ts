/** What journeys begin with: numbers and agents of their own. */
import type { Person } from "./journey.ts";

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
