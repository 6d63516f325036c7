/** What pages keep in this browser of people's work: it is gone once they sign out, or somebody else signs in. */

/** What is the browser's own, whoever uses it. */
const OF_THE_BROWSER: ReadonlySet<string> = new Set(["hum.theme", "hum.language"]);
const PERSON = "hum.person";

/** Forget drafts, notes and numbers: who signs out may leave the browser to others. */
export function forgetWork(): void {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith("hum.") && !OF_THE_BROWSER.has(key)) localStorage.removeItem(key);
    sessionStorage.clear();
  } catch {
    // a forbidden storage keeps nothing
  }
}

/** What a person began stays while their session ends and they sign in again; not for the next one. */
export function keepWorkOf(person: string): void {
  try {
    const before = localStorage.getItem(PERSON);
    if (before !== null && before !== person) forgetWork();
    if (before !== person) localStorage.setItem(PERSON, person);
  } catch {
    // as above
  }
}
