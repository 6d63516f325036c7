import { useNavigate } from "@tanstack/react-router";
import { Image } from "lucide-react";
import { useRef, useState } from "react";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { can, ownKey, useMe } from "@/api/me";
import { useThing } from "@/api/queries";
import { completed, inE164 } from "@/api/phones";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { segmentsOf } from "@/lib/segments";
import { Button, IconButton } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { SelectField, TextArea, TextField } from "@/ui/field";
import { useNoStrayFiles } from "@/ui/stray-files";
import { Attachments, DropZone, FileChooser, pasted, useAttaching } from "./attachments";
import { useNumbers } from "./queries";
import { AskLate, LateNote, useTextingHours } from "./quiet-hours";
import type { Attachment } from "./uploads";

interface Wanted {
  number: string;
  to: string;
  body: string;
  uploads: Attachment[];
}

const NOTHING: Wanted = { number: "", to: "", body: "", uploads: [] };

function isBlank(wanted: Wanted): boolean {
  return wanted.body.trim() === "" && wanted.uploads.length === 0;
}

/** What was begun and not sent, for who closes the dialog and comes back; as long as the tab is open. */
function useKept(given: string): [Wanted, (wanted: Wanted | null) => void] {
  const place = `hum.new-text.${ownKey(useMe(), "")}`;
  const [first] = useState<Wanted>(() => {
    const kept = JSON.parse(sessionStorage.getItem(place) ?? "null") as Partial<Wanted> | null;
    return kept && (given === "" || given === kept.to) ? { ...NOTHING, ...kept } : { ...NOTHING, to: given };
  });
  return [first, (wanted) => (wanted && !isBlank(wanted) ? sessionStorage.setItem(place, JSON.stringify(wanted)) : sessionStorage.removeItem(place))];
}

/** A text to somebody who may have no thread yet. */
export function Compose({ onClose, to: given = "" }: { onClose: () => void; to?: string }) {
  const t = useTexts("inbox");
  const navigate = useNavigate();
  const numbers = (useNumbers().data?.numbers ?? []).filter((each) => each.sms_enabled);
  const [first, keep] = useKept(given);
  const [wanted, setWanted] = useState(first);
  const [faults, setFaults] = useState<Record<string, string>>({});
  const key = useRef(idempotencyKey());
  const number = wanted.number || numbers[0]?.id || "";
  const latest = useRef(first);
  const adopt = (change: Partial<Wanted>): void => {
    latest.current = { ...latest.current, ...change };
    setWanted(latest.current);
  };
  const set = (change: Partial<Wanted>): void => {
    adopt(change);
    keep(latest.current);
    key.current = idempotencyKey(); // another text is another request
  };
  const chooser = useRef<HTMLInputElement>(null);
  const attaching = useAttaching({ get: () => latest.current.uploads, set: (uploads) => set({ uploads }) });
  useNoStrayFiles();
  const [isAsking, setAsking] = useState(false);
  const e164 = e164Of(wanted.to);
  const hours = useTextingHours(/^\+\d{8,15}$/.test(e164) ? { contact_e164: e164 } : null);
  const isLate = !isBlank(wanted) && hours?.is_open === false;
  const start = useChange(
    async (waits: boolean) =>
      data(
        api.POST("/api/sms/conversations", {
          params: { header: { "Idempotency-Key": key.current } },
          body: {
            twilio_number_id: number,
            contact_e164: await inE164(wanted.to, "contact_e164"),
            ...(isBlank(wanted) ? {} : { initial_message: { body: wanted.body.trim(), honor_quiet_hours: waits, ...(wanted.uploads.length > 0 ? { upload_ids: wanted.uploads.map((each) => each.id) } : {}) } }),
          },
        }),
      ),
    [["conversations"], ["inbox"]],
    {
      onDone: (conversation) => {
        keep(null);
        onClose();
        void navigate({ to: "/inbox/$id", params: { id: conversation.id } });
      },
      onError: (error) => {
        const found = Object.fromEntries(error.details.map((each) => [each.field, each.reason]));
        setFaults(found);
        return Object.keys(found).length > 0;
      },
    },
  );
  const fileFault = Object.entries(faults).find(([field]) => /^initial_message\.(upload_ids|media)/.test(field))?.[1];
  const off = numbers.length === 0 ? t.noTextNumber : wanted.to.trim() === "" ? t.recipientFirst : attaching.pending.length > 0 ? t.waitsForUpload : null;
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.newText}
      size="md"
      actions={
        <>
          <Button onClick={onClose}>{t.cancel}</Button>
          <Button look="primary" needs="sms:write" off={off} busy={start.isPending} onClick={() => (isLate ? setAsking(true) : start.mutate(false))}>
            {isBlank(wanted) ? t.openThread : t.send}
          </Button>
        </>
      }
    >
      {isAsking && hours && (
        <AskLate
          hours={hours}
          onClose={() => setAsking(false)}
          onChoose={(waits) => {
            setAsking(false);
            key.current = idempotencyKey();
            start.mutate(waits);
          }}
        />
      )}
      <DropZone onFiles={(files) => void attaching.take(files)}>
        <div className="space-y-2">
          {isLate && <LateNote hours={hours} />}
          {numbers.length === 0 && <p className="rounded-control bg-warn-soft px-3 py-2 text-warn">{t.noTextNumber}</p>}
          <Recipient value={wanted.to} error={faults["contact_e164"]} onChange={(to) => set({ to })} onLeave={() => void completed(wanted.to).then((to) => latest.current.to === wanted.to && adopt({ to }))} />
          {numbers.length > 1 && (
            <SelectField label={t.from} error={faults["twilio_number_id"]} value={number} choices={numbers.map((each) => ({ value: each.id, label: [each.friendly_name, phone(each.e164)].filter(Boolean).join(" · ") }))} onChange={(event) => set({ number: event.target.value })} />
          )}
          <TextArea
            label={t.text}
            rows={4}
            maxLength={1600}
            error={faults["initial_message.body"] ?? faults["body"]}
            hint={wanted.body.trim() ? t.segments(segmentsOf(wanted.body.trim()).segments) : t.textHint}
            value={wanted.body}
            onPaste={(event) => void attaching.take(pasted(event))}
            onChange={(event) => set({ body: event.target.value })}
          />
          <Attachments uploads={wanted.uploads} attaching={attaching} />
          {fileFault && (
            <p role="alert" className="text-[13px] font-medium text-bad">
              {fileFault}
            </p>
          )}
          <IconButton size="sm" label={t.addMedia} icon={Image} title={t.mediaHint} onClick={() => chooser.current?.click()} />
          <FileChooser chooser={chooser} onFiles={(files) => void attaching.take(files)} />
        </div>
      </DropZone>
    </Dialog>
  );
}

/** As people write numbers; the server says what is none. */
export function e164Of(text: string): string {
  const digits = text.replaceAll(/[\s().\-/]/g, "");
  return digits.startsWith("00") ? `+${digits.slice(2)}` : digits;
}

/** A number, or a contact that is found by name. */
function Recipient({ value, error, onChange, onLeave }: { value: string; error: string | undefined; onChange: (to: string) => void; onLeave: () => void }) {
  const t = useTexts("inbox");
  const me = useMe();
  const mayAsk = can(me, "contacts:read") && !me.limited;
  const q = value.trim();
  const isNumber = /^\+\d{8,}$/.test(e164Of(q));
  const { data: page } = useThing(
    ["contacts", "find", q],
    (signal) => data(api.GET("/api/contacts", { params: { query: { q, limit: 5 } }, signal })),
    { enabled: mayAsk && q.length >= 2 && !isNumber },
  );
  const found = isNumber ? [] : (page?.contacts ?? []);
  return (
    <div>
      <TextField label={t.to} hint={t.toHint} error={error} value={value} autoFocus autoComplete="off" onBlur={onLeave} onChange={(event) => onChange(event.target.value)} />
      {found.length > 0 && (
        <ul aria-label={t.foundContacts} className="mt-1 rounded-control border border-line">
          {found.map((each) => (
            <li key={each.id}>
              <button type="button" className="flex w-full justify-between gap-3 px-3 py-1.5 text-left hover:bg-hover" onClick={() => onChange(each.phone_e164)}>
                <span className="min-w-0 truncate">{each.name ?? each.company ?? phone(each.phone_e164)}</span>
                <span className="tabular shrink-0 text-dim">{phone(each.phone_e164)}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
