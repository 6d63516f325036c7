/** What the API says when it refuses something, in the reader's language. It speaks English, for which nothing is loaded. */
import type { Refusal } from "@/api/client";
import { currentLanguage, type Language } from "../language";

const TABLES: Partial<Record<Language, () => Promise<{ default: (refusal: Refusal) => Refusal }>>> = {
  es: () => import("./es"),
};

/** Translate a refusal; it stays as it is if the table can't be loaded, as without a network. */
export async function inReadersLanguage(refusal: Refusal): Promise<Refusal> {
  return (await TABLES[currentLanguage()]?.().then((table) => table.default(refusal), () => null)) ?? refusal;
}
