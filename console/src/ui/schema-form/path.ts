/** Places in a value, as the API writes them: `business_hours_json.weekly.mon[0][1]`, `idle_prompts_json["8"]`. */

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export type Step = string | number;

export function childPath(path: string, step: Step): string {
  if (typeof step === "number") return `${path}[${step}]`;
  if (!NAME.test(step)) return `${path}[${JSON.stringify(step)}]`;
  return path ? `${path}.${step}` : step;
}

/** The steps of a path; what can't be read ends it. */
export function stepsOf(path: string): Step[] {
  const steps: Step[] = [];
  let rest = path;
  for (;;) {
    const found = /^(?:\.?([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\])/.exec(rest);
    if (!found || found[0] === "") return steps;
    if (found[1] !== undefined) steps.push(found[1]);
    else if (found[2] !== undefined) steps.push(Number(found[2]));
    else steps.push(quoted(found[3] ?? '""'));
    rest = rest.slice(found[0].length);
  }
}

function quoted(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return text.slice(1, -1);
  }
}

export function isUnder(path: string, parent: string): boolean {
  return path === parent || path.startsWith(`${parent}.`) || path.startsWith(`${parent}[`);
}

/** The reason of a refusal at exactly this place. */
export function reasonAt(errors: readonly { field: string; reason: string }[], path: string): string | undefined {
  return errors.find((each) => each.field === path)?.reason;
}
