/**
 * One notice for each thing, in however many tabs: the first tab that claims it tells it. A tab that shows the thing to somebody claims it at
 * once and says nothing; one that may sound comes before one in which nobody has clicked yet.
 */
const PLACE = "hum.notices.told";
const MOST_KEPT = 200;
const FIT_MS = 250;
const UNFIT_MS = 600;

export function claimDelay(isShown: boolean, isFit: boolean): number {
  if (isShown) return 0;
  return isFit ? FIT_MS : UNFIT_MS;
}

/** The kept keys with this one, or null if it is among them. */
export function withKey(kept: string | null, key: string): string | null {
  const keys = kept?.split("\n").filter(Boolean) ?? [];
  return keys.includes(key) ? null : [...keys, key].slice(-MOST_KEPT).join("\n");
}

/** Whether this tab is the first. */
export async function claim(key: string): Promise<boolean> {
  const taken = (): boolean => {
    try {
      const next = withKey(localStorage.getItem(PLACE), key);
      if (next === null) return false;
      localStorage.setItem(PLACE, next);
    } catch {
      // nothing is kept here: each tab tells it, and the desktop shows one of the same tag
    }
    return true;
  };
  // Without a secure context there are no locks; the delays keep tabs apart well enough.
  return (navigator.locks as LockManager | undefined)?.request("hum-notices", taken) ?? taken();
}
