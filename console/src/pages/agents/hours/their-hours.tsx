import { api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { Now } from "./hours-editor";
import type { Preview } from "./preview";
import { Lines, useHoursLines } from "./words";

/** The organization's hours, which count where the agent has none. */
export default function TheirHours({ preview }: { preview: Preview }) {
  const t = useTexts("agentForm");
  const lines = useHoursLines();
  const organization = useThing(["organization"], (signal) => data(api.GET("/api/organization", { signal })), { enabled: useCan("team:read") });
  if (!preview.data) return null;
  if (!preview.data.has_hours) return <p>{t.hours.noneAnywhere}</p>;
  return (
    <>
      <Now preview={preview} />
      {organization.data && <Lines lines={lines(organization.data.business_hours_json)} />}
    </>
  );
}
