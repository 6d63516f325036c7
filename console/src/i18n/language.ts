/** The language that is chosen, and how it counts. */

export type Language = "en" | "es";
export const LANGUAGES: Record<Language, string> = { en: "English", es: "Español" };

let language: Language = chosenLanguage();

function chosenLanguage(): Language {
  const known = (tag: string): tag is Language => tag in LANGUAGES;
  try {
    const stored = localStorage.getItem("hum.language") ?? "";
    if (known(stored)) return stored;
  } catch {
    // without storage the browser's languages decide
  }
  const wanted = typeof navigator === "undefined" ? [] : navigator.languages.map((tag) => tag.slice(0, 2));
  return wanted.find(known) ?? "en";
}

export function currentLanguage(): Language {
  return language;
}

export function setLanguage(next: Language): void {
  language = next;
  document.documentElement.lang = next;
  try {
    localStorage.setItem("hum.language", next);
  } catch {
    // it holds until the tab is closed
  }
}

/** `plural(2, {one: "call", other: "calls"})`, by the rules of the language. */
export function plural(count: number, forms: { one: string; other: string } & Partial<Record<Intl.LDMLPluralRule, string>>): string {
  const rule = new Intl.PluralRules(language).select(count);
  return `${new Intl.NumberFormat(language).format(count)} ${forms[rule] ?? forms.other}`;
}
