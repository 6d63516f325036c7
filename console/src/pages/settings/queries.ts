import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { meQuery } from "@/api/me";
import { useList, useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { byField } from "@/lib/refusals";
import { toast } from "@/ui/toast";

export type Organization = Schemas["Organization"];
export type Patch = Schemas["OrganizationPatch"];

export function useOrganization() {
  return useThing(["organization"], (signal) => data(api.GET("/api/organization", { signal })));
}

/** Save some fields; refusals go to the fields that the form has. */
export function useSave<F extends string>(fields: readonly F[], place: (field: F, reason: string) => void, onDone: (saved: Organization) => void) {
  const t = useTexts("settings");
  return useChange((body: Patch) => data(api.PATCH("/api/organization", { body })), [["organization"], meQuery.queryKey], {
    onDone: (saved) => {
      onDone(saved);
      toast.done(t.saved);
    },
    onError: (error) => {
      const { at, rest } = byField(error, fields);
      for (const field of fields) if (at[field]) place(field, at[field]);
      return !rest;
    },
  });
}

export function useEmails() {
  return useList(
    ["emails"],
    (cursor, signal) => data(api.GET("/api/emails", { params: { query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.emails,
  );
}
