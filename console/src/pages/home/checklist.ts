/** Which steps to the first call are taken; all but the last are known by the API. */
export interface Facts {
  flows: number;
  /** The number that is shown, and whether an agent answers it. */
  number: { hasFlow: boolean } | null;
  calls: number;
  isHeard: boolean;
}

export type StepName = "organization" | "agent" | "number" | "call" | "listen";
export interface Step {
  name: StepName;
  isDone: boolean;
  /** The one to take now. */
  isNext: boolean;
}

/** An organization with so many calls is past its beginnings, whatever this browser knows. */
const PAST_BEGINNING_CALLS = 5;

export function stepsOf(facts: Facts): Step[] {
  const done: [StepName, boolean][] = [
    ["organization", true],
    ["agent", facts.flows > 0],
    ["number", facts.number?.hasFlow ?? false],
    ["call", facts.calls > 0],
    ["listen", facts.isHeard],
  ];
  const next = done.find(([, isDone]) => !isDone)?.[0];
  return done.map(([name, isDone]) => ({ name, isDone, isNext: name === next }));
}

export function isPast(facts: Facts): boolean {
  return facts.isHeard || facts.calls >= PAST_BEGINNING_CALLS;
}

const KEY = "hum.heard";

/** That somebody listened is known to this browser alone. */
export function wasHeard(organization: string): boolean {
  try {
    return localStorage.getItem(`${KEY}.${organization}`) !== null;
  } catch {
    return false;
  }
}

export function noteHeard(organization: string): void {
  try {
    localStorage.setItem(`${KEY}.${organization}`, "1");
  } catch {
    // the list shows again at the next visit
  }
}
