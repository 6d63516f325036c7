import { AlarmClock, Image, SendHorizontal, SquareSlash, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { ownKey, useCan, useMe, useZone } from "@/api/me";
import { useTexts } from "@/i18n";
import { exactTime } from "@/lib/zoned";
import { Button, IconButton } from "@/ui/button";
import { Dialog, loadDialog } from "@/ui/dialog";
import { useNow } from "@/ui/now";
import { Later } from "./actions";
import { Attachments, DropZone, FileChooser, pasted, useAttaching } from "./attachments";
import { Counter } from "./counter";
import { draftOf, isBlank, setDraft, useKept } from "./drafts";
import type { History } from "./history";
import { OptedOut } from "./opted-out";
import { AskLate, LateNote, useTextingHours } from "./quiet-hours";
import { type Conversation, useClose, useNumbers } from "./queries";
import { sendDraft } from "./sending";
import { TemplatePicker, useTemplatePicker } from "./template-picker";

const MOST_CHARS = 1600;

interface ComposerProps {
  conversation: Conversation;
  history: History | undefined;
  field: React.RefObject<HTMLTextAreaElement | null>;
}

/** Where a text is written; off with a reason where none can be sent. */
export function Composer({ conversation, history, field }: ComposerProps) {
  const why = useWhyNot(conversation);
  return (
    <div className="border-t border-line bg-surface px-4 pt-2 pb-3 max-md:px-3">
      <div className="mx-auto max-w-3xl">{why ? <p className="flex flex-wrap items-center gap-2 py-2 text-dim">{why}</p> : <Writing conversation={conversation} history={history} field={field} />}</div>
    </div>
  );
}

function useWhyNot(conversation: Conversation): React.ReactNode {
  const t = useTexts("inbox");
  const { reopen } = useClose();
  const canWrite = useCan("sms:write");
  const numbers = useNumbers().data?.numbers;
  const number = numbers?.find((each) => each.id === conversation.twilio_number_id);
  if (!canWrite) return t.mayNotWrite;
  if (conversation.opted_out) return <OptedOut conversation={conversation} />;
  if (!conversation.twilio_number_id) return t.numberGone;
  if (number && !number.sms_enabled) return t.numberOff;
  if (conversation.status === "closed") {
    return (
      <>
        <span className="min-w-0 flex-1">{t.closedReason}</span>
        <Button size="sm" onClick={() => reopen(conversation.id)}>
          {t.reopen}
        </Button>
      </>
    );
  }
  return null;
}

function Writing({ conversation, history, field }: ComposerProps) {
  const t = useTexts("inbox");
  const me = useMe();
  const zone = useZone();
  const thread = ownKey(me, conversation.id);
  const { draft, outbox } = useKept(thread);
  const [isChecking, setChecking] = useState(false);
  const [isBehind, setBehind] = useState(false);
  const [isAsking, setAsking] = useState(false);
  const [isScheduling, setScheduling] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);
  const attaching = useAttaching({ get: () => draftOf(thread).uploads, set: (uploads) => setDraft(thread, { uploads }) });
  const hours = useTextingHours({ conversation_id: conversation.id }, draft.scheduledAt);
  useEffect(loadDialog, []);
  const picker = useTemplatePicker(conversation.id, draft.body, (body) => {
    setDraft(thread, { body });
    field.current?.focus();
  });
  const isSending = isChecking || outbox.some((each) => each.state === "sending");
  const now = useNow();
  const isPast = draft.scheduledAt !== null && Date.parse(draft.scheduledAt) <= now;
  const off = attaching.pending.length > 0 ? t.waitsForUpload : isBlank(draft) ? t.writeFirst : isPast ? t.isPast : null;
  const send = async (waits?: boolean): Promise<void> => {
    if (off || isSending || picker.isOpen) return;
    setAsking(waits === undefined && hours?.is_open === false);
    if (waits === undefined && hours?.is_open === false) return;
    if (waits !== undefined) setDraft(thread, { honorQuietHours: waits });
    setChecking(true);
    const hindrance = await sendDraft(thread, conversation.id, isBehind ? null : (history ?? null)).finally(() => setChecking(false));
    setBehind(hindrance === "behind");
  };
  return (
    <DropZone onFiles={(files) => void attaching.take(files)}>
      <TemplatePicker picker={picker} />
      {isBehind && (
        <p role="alert" className="mb-2 rounded-control bg-warn-soft px-3 py-1.5 text-[13px] font-medium text-warn">
          {t.behind}
        </p>
      )}
      {draft.scheduledAt && (
        <p className="mb-1.5 flex items-center gap-1.5 text-[13px]">
          <AlarmClock size={14} aria-hidden className="text-info" />
          <span className={isPast ? "text-bad" : ""}>{isPast ? t.isPast : t.leavesAt(exactTime(draft.scheduledAt, zone))}</span>
          <IconButton size="sm" label={t.sendAtOnce} icon={X} onClick={() => setDraft(thread, { scheduledAt: null })} />
        </p>
      )}
      <LateNote hours={hours} at={draft.scheduledAt} />
      {isAsking && hours && <AskLate hours={hours} at={draft.scheduledAt} onChoose={(waits) => void send(waits)} onClose={() => setAsking(false)} />}
      <Attachments uploads={draft.uploads} attaching={attaching} />
      <div className="flex items-end gap-1">
        <textarea
          ref={field}
          rows={1}
          aria-label={t.writeTo(conversation.contact?.name ?? conversation.contact_e164)}
          placeholder={t.writePlaceholder}
          maxLength={MOST_CHARS}
          value={draft.body}
          {...picker.aria}
          className="field-sizing-content max-h-48 min-h-10 min-w-0 flex-1 resize-none rounded-control border border-line-strong bg-surface px-3 py-2 hover:border-dim max-md:min-h-11 max-md:text-base"
          onChange={(event) => {
            setDraft(thread, { body: event.target.value });
            setBehind(false);
          }}
          onPaste={(event) => void attaching.take(pasted(event))}
          onKeyDown={(event) => {
            if (picker.onKey(event)) return;
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
              event.preventDefault();
              void send();
            } else if (event.key === "Escape") event.currentTarget.blur();
          }}
        />
        <Button look="primary" icon={SendHorizontal} busy={isSending} off={off} title={t.sendKeys} onClick={() => void send()}>
          <span className="max-sm:sr-only">{isBehind ? t.sendAnyway : draft.scheduledAt ? t.schedule : t.send}</span>
        </Button>
      </div>
      <div className="mt-1 flex flex-wrap items-center gap-x-1">
        <IconButton size="sm" label={t.insertTemplate} icon={SquareSlash} onClick={picker.toggle} pressed={picker.isOpen} />
        <IconButton size="sm" label={t.addMedia} icon={Image} title={t.mediaHint} onClick={() => chooser.current?.click()} />
        <FileChooser chooser={chooser} onFiles={(files) => void attaching.take(files)} />
        <IconButton size="sm" label={t.scheduleSend} icon={AlarmClock} pressed={draft.scheduledAt !== null} onClick={() => setScheduling(true)} />
        <Counter body={draft.body} conversationId={conversation.id} />
      </div>
      {isScheduling && (
        <Dialog isOpen onClose={() => setScheduling(false)} title={t.scheduleSend} description={t.scheduleLead}>
          <Later
            verb={t.schedule}
            onChoose={(at) => {
              setDraft(thread, { scheduledAt: at.toISOString() });
              setScheduling(false);
            }}
          />
        </Dialog>
      )}
    </DropZone>
  );
}
