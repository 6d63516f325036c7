/** Who a call is with. */
import type { Schemas } from "@/api/client";
import { isE164, phone } from "./format";

type Call = Pick<Schemas["Call"], "direction" | "from" | "to" | "contact">;

/** Whoever is not the organization: the caller, or who was called. */
export function otherParty(call: Pick<Call, "direction" | "from" | "to">): string {
  return call.direction === "outbound" ? call.to : call.from;
}

/** The name of the other party, or their number, as one line of text. */
export function partyName(call: Call, words: { fromBrowser: string; withheld: string }): string {
  if (call.contact?.name) return call.contact.name;
  const party = otherParty(call);
  if (party === "browser") return words.fromBrowser;
  return isE164(party) ? phone(party) : words.withheld;
}

/** The tag of calls whose transfers nobody took, until somebody has dealt with the caller. */
export const UNTAKEN = "transfer-not-taken";
