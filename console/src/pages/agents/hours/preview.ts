/** What the API says of hours: whether they are open now, and what instructions say besides them. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { type FieldError, type Schemas, api, data } from "@/api/client";
import { asApiError } from "@/api/queries";
import type { Draft } from "../flow";
import { overlapsOf } from "./hours";

export interface Preview {
  data: Schemas["PreviewHours"] | undefined;
  errors: readonly FieldError[];
}

/** A preview a moment after the last change; without hours of its own, of the organization's. */
export function useHoursPreview(value: Draft["business_hours_json"], instructions: string | null = null): Preview {
  const wanted = JSON.stringify({ ...(value ? { business_hours_json: value } : {}), ...(instructions ? { system_prompt: instructions } : {}) });
  const [asked, setAsked] = useState(wanted);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(wanted), 350);
    return () => clearTimeout(timer);
  }, [wanted]);
  const query = useQuery({
    queryKey: ["organization", "hours", asked],
    queryFn: ({ signal }) => data(api.POST("/api/hours/preview", { body: JSON.parse(asked) as Schemas["PreviewHoursRequestInput"], signal })),
    enabled: overlapsOf(value).length === 0,
    placeholderData: keepPreviousData,
    refetchInterval: 60_000,
    retry: false,
  });
  const refusal = query.error ? asApiError(query.error) : null;
  return { data: refusal || overlapsOf(value).length > 0 ? undefined : query.data, errors: refusal?.details ?? [] };
}
