import { api, data } from "@/api/client";
import { can, useMe, useZone } from "@/api/me";
import { useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { exactTime } from "@/lib/zoned";

const AGAIN_MS = 300_000;

/** A person's text leaves at any hour; outside the organization's it says so, and offers to wait. */
export function QuietHours({ at, waits, onWait }: { at: string | null; waits: boolean; onWait: (waits: boolean) => void }) {
  const t = useTexts("inbox");
  const zone = useZone();
  const me = useMe();
  const mayAsk = can(me, "team:read") && can(me, "flows:read");
  const organization = useThing(["organization"], (signal) => data(api.GET("/api/organization", { signal })), { enabled: mayAsk }).data;
  const hours = organization?.quiet_hours_enabled ? organization.business_hours_json : null;
  const preview = useThing(
    ["hours", hours, at],
    (signal) => data(api.POST("/api/hours/preview", { body: { business_hours_json: hours ?? { weekly: {} }, ...(at ? { at } : {}) }, signal })),
    { enabled: Boolean(hours), refetchMs: AGAIN_MS },
  ).data;
  if (!hours || !preview || preview.is_open) return null;
  return (
    <label className="mb-2 flex items-start gap-2.5 rounded-control bg-info-soft px-3 py-1.5 text-[13px] text-info">
      <input type="checkbox" className="mt-0.5 accent-info" checked={waits} onChange={(event) => onWait(event.target.checked)} />
      <span>
        {t.outsideHours} {preview.next_change_at ? t.waitUntil(exactTime(preview.next_change_at, zone)) : t.waitForHours}
      </span>
    </label>
  );
}
