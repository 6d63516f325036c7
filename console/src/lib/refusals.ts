/** A refusal's details, at the fields of a form. */
import type { ApiError } from "@/api/client";

/** What is wrong with each field that the form knows (`business_hours_json.weekly.mon` belongs to `business_hours_json`); `rest` are the others. */
export function byField<F extends string>(error: ApiError, fields: readonly F[]): { at: Partial<Record<F, string>>; rest: boolean } {
  const at: Partial<Record<F, string>> = {};
  let rest = error.details.length === 0;
  for (const { field, reason } of error.details) {
    const known = fields.find((each) => field === each || field.startsWith(`${each}.`) || field.startsWith(`${each}[`));
    if (known) at[known] ??= reason;
    else rest = true;
  }
  return { at, rest };
}
