/**
 * Texts, a file for each section and language, loaded with the page that shows them.
 *
 * English is the source: its files' types are what every other language must have, so a missing key fails the compiler.
 * A further language is one file, `fr.ts`, that has all sections, and one line in `WHOLE`.
 */
import { useSyncExternalStore } from "react";
import { currentLanguage, setLanguage, type Language } from "./language";
import type { Sections } from "./sections";

export { currentLanguage, LANGUAGES, type Language } from "./language";

export type Section = keyof Sections;

type Files = Record<string, () => Promise<{ default: Sections[Section] }>>;
/** The files of each language, by section; other languages than English are listed in a file of their own. */
const FILES: Partial<Record<Language, () => Files | Promise<Files>>> = {
  en: () => ENGLISH,
  es: async () => (await import("./spanish")).default,
};
const ENGLISH = import.meta.glob<{ default: Sections[Section] }>("./en/*.ts") as Files;
/** Languages of one file. */
const WHOLE: Partial<Record<Language, () => Promise<{ default: Sections }>>> = {};

const loaded = new Map<string, Sections[Section]>();
const watchers = new Set<() => void>();

export async function chooseLanguage(next: Language): Promise<void> {
  const sections = new Set([...loaded.keys()].map((key) => key.split("/")[1] as Section));
  await Promise.all([...sections].map((section) => load(next, section)));
  setLanguage(next);
  for (const watcher of watchers) watcher();
}

/** Load a section before a page shows it; routes do so in their loaders. */
export async function loadTexts(...sections: Section[]): Promise<void> {
  document.documentElement.lang = currentLanguage();
  await Promise.all(sections.map((section) => load(currentLanguage(), section)));
}

async function load(of: Language, section: Section): Promise<void> {
  const key = `${of}/${section}`;
  if (loaded.has(key)) return;
  const whole = WHOLE[of];
  if (whole) {
    const all = (await whole()).default;
    for (const each of Object.keys(all) as Section[]) loaded.set(`${of}/${each}`, all[each]);
    return;
  }
  const file = (await FILES[of]?.())?.[`./${key}.ts`];
  if (!file) throw new Error(`no texts ${key}`);
  loaded.set(key, (await file()).default);
}

/** The texts of a section where no component is: loaded when they are needed. */
export async function textsOf<S extends Section>(section: S): Promise<Sections[S]> {
  await loadTexts(section);
  return loaded.get(`${currentLanguage()}/${section}`) as Sections[S];
}

/** The texts of a section, in the language that is chosen. */
export function useTexts<S extends Section>(section: S): Sections[S] {
  const at = useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => loaded.get(`${currentLanguage()}/${section}`),
  );
  if (!at) throw new Error(`texts of ${section} were not loaded; name them in the route`);
  return at as Sections[S];
}
