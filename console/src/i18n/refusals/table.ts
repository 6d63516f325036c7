/** Sentences that were made of a pattern and values, in another language: literals are found from left to right, and nothing is tried twice. */

import type { FieldError, Refusal } from "@/api/client";

/** `words`: what a place of this name may hold. `sentences`: patterns with places like `{n}`, each with its translation. */
export interface Refusals {
  words: Readonly<Record<string, Readonly<Record<string, string>>>>;
  sentences: readonly (readonly [pattern: string, translation: string])[];
}

export type Translate = (text: string) => string;

/** Longer texts are none of ours, and stay as they are. */
const MOST_CHARS = 1000;
const PLACE = /\{([a-z]+)\}/;

interface Pattern {
  literals: string[];
  names: string[];
  /** Literals and names of places, by turns. */
  translation: string[];
}

/** Return a function that translates what the table knows; other texts stay as they are. */
export function translator({ words, sentences }: Refusals): Translate {
  const whole = new Map(sentences.filter(([pattern]) => !PLACE.test(pattern)));
  const patterns = sentences
    .filter(([pattern]) => PLACE.test(pattern))
    .map(([pattern, translation]) => ({ literals: turns(pattern, 0), names: turns(pattern, 1), translation: translation.split(PLACE) }))
    .toSorted((one, other) => other.literals.join("").length - one.literals.join("").length);

  function translate(text: string): string {
    if (text.length > MOST_CHARS) return text;
    const known = whole.get(text);
    if (known !== undefined) return known;
    for (const pattern of patterns) {
      const values = valuesIn(text, pattern);
      if (values) return pattern.translation.map((part, at) => (at % 2 ? value(part, values[pattern.names.indexOf(part)] ?? "") : part)).join("");
    }
    return text;
  }

  function value(name: string, said: string): string {
    if (name === "reason") return translate(said);
    if (name === "reasons") return capitalized(uncapitalized(said).split("; ").map(translate).join("; "));
    const choices = words[name];
    return (choices && Object.hasOwn(choices, said) ? choices[said] : undefined) ?? said;
  }

  return translate;
}

/** Return a function that translates what a refusal says, of its fields as well. Details of other refusals are facts, which have no reason. */
export function refusalsBy(translate: Translate): (refusal: Refusal) => Refusal {
  const ofField = (detail: FieldError): FieldError => {
    const reason = typeof detail.reason === "string" ? translate(detail.reason) : detail.reason;
    return reason === detail.reason ? detail : { ...detail, reason, said: detail.reason };
  };
  return ({ details = [], ...refusal }) => ({ ...refusal, message: translate(refusal.message), details: details.map(ofField) });
}

function turns(pattern: string, from: 0 | 1): string[] {
  return pattern.split(PLACE).filter((_, at) => at % 2 === from);
}

/** What stands in a pattern's places; nothing if the text is not made of it. */
function valuesIn(text: string, { literals }: Pattern): string[] | undefined {
  const first = literals[0] ?? "";
  const last = literals.at(-1) ?? "";
  const end = text.length - last.length;
  if (end < first.length || !text.startsWith(first) || !text.endsWith(last)) return undefined;
  const values: string[] = [];
  let at = first.length;
  for (const literal of literals.slice(1, -1)) {
    const next = text.indexOf(literal, at);
    if (next < 0 || next + literal.length > end) return undefined;
    values.push(text.slice(at, next));
    at = next + literal.length;
  }
  return [...values, text.slice(at, end)];
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function uncapitalized(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
