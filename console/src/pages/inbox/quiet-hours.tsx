import { Moon } from "lucide-react";
import { type Schemas, api, data } from "@/api/client";
import { useZone } from "@/api/me";
import { useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { clockIn } from "@/lib/format";
import { exactTime } from "@/lib/zoned";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";

export type TextingHours = Schemas["PreviewTextingHours"];
const AGAIN_MS = 60_000;

/** Whether a text to this conversation or number could leave then, by the hours that the organization keeps. */
export function useTextingHours(to: { conversation_id: string } | { contact_e164: string } | null, at: string | null = null): TextingHours | undefined {
  return useThing(
    ["hours", "texts", to, at],
    (signal) => data(api.GET("/api/sms/hours", { params: { query: { ...to, ...(at ? { at } : {}) } }, signal })),
    { enabled: to !== null, refetchMs: AGAIN_MS },
  ).data;
}

/** What the clocks show where the contact lives; null where the number does not tell. */
function useClockThere(hours: TextingHours, at: string | null): string | null {
  return hours.contact_time_zone ? clockIn(at ? new Date(at) : new Date(), hours.contact_time_zone) : null;
}

/** Says so where it is night, or outside of the organization's hours. */
export function LateNote({ hours, at = null }: { hours: TextingHours | undefined; at?: string | null }) {
  return hours && !(hours.is_open && hours.is_day) ? <Late hours={hours} at={at} /> : null;
}

function Late({ hours, at }: { hours: TextingHours; at: string | null }) {
  const t = useTexts("inbox");
  const there = useClockThere(hours, at);
  return (
    <p className="mb-2 flex items-center gap-2 rounded-control bg-info-soft px-3 py-1.5 text-[13px] text-info">
      <Moon size={14} aria-hidden className="shrink-0" />
      {!hours.is_day && there ? t.nightThere(there) : t.outsideHours} {!hours.is_open && t.asksFirst}
    </p>
  );
}

/** Asks whether a text waits: a person's may leave at any hour, and at night hardly anybody means it to. */
export function AskLate({ hours, at = null, onChoose, onClose }: { hours: TextingHours; at?: string | null; onChoose: (waits: boolean) => void; onClose: () => void }) {
  const t = useTexts("inbox");
  const zone = useZone();
  const there = useClockThere(hours, at);
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={!hours.is_day && there ? t.nightThere(there) : t.outsideHours}
      description={hours.held_by === "organization_hours" ? t.lateForUs : t.lateForThem}
      actions={
        <>
          <Button onClick={onClose}>{t.cancel}</Button>
          <Button look="danger" onClick={() => onChoose(false)}>
            {at ? t.sendThen : t.sendNow}
          </Button>
          {hours.opens_at && (
            <Button look="primary" onClick={() => onChoose(true)}>
              {t.sendAt(exactTime(hours.opens_at, zone))}
            </Button>
          )}
        </>
      }
    />
  );
}
