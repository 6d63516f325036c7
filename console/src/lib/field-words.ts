/** A refusal's fields by words, where it is shown away from them. */
import type { ApiError } from "@/api/client";
import { currentLanguage } from "@/i18n";
import english from "@/i18n/fields/en";
import spanish from "@/i18n/fields/es";

const WORDS = { en: english, es: spanish };

/** What is wrong with each field, as a sentence that names it by words. */
export function fieldSentences(error: ApiError): string[] {
  const { names, says } = WORDS[currentLanguage()];
  return error.details.filter((each) => each.field).map(({ field, reason }) => says(fieldName(field, names), reason));
}

/** A field by words: by its own name, or else by the one that holds it; a name that has none stays. */
export function fieldName(path: string, names: Readonly<Record<string, string>>): string {
  const steps = path.replace(/\[[^\]]*\]/g, "").split(".");
  const known = [...steps.slice(-1), ...steps.slice(0, 1)].find((step) => Object.hasOwn(names, step));
  return (known && names[known]) ?? path;
}
