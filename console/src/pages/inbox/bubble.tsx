import { Link } from "@tanstack/react-router";
import { Ban, Check, CheckCheck, CircleHelp, Clock, File, type LucideIcon, RotateCw, TriangleAlert } from "lucide-react";
import { useState } from "react";
import { useMe, useZone } from "@/api/me";
import { useTexts } from "@/i18n";
import { bytes, fullTime, shortTime } from "@/lib/format";
import { exactTime } from "@/lib/zoned";
import { useNow } from "@/ui/now";
import { toast } from "@/ui/toast";
import { type ThreadKey, type Unconfirmed, isStale, settle, takeBack } from "./drafts";
import type { Message } from "./history";
import { MessageDialog } from "./message-dialog";
import { useCancelScheduled, useMembers } from "./queries";
import { deliver } from "./sending";

const BUBBLE = "w-fit max-w-[85%] rounded-2xl px-3.5 py-2 whitespace-pre-wrap";

/** A message: what it says, who wrote it, and what became of it. */
export function Bubble({ message }: { message: Message }) {
  const isOurs = message.direction === "outbound";
  const isVoid = message.status === "canceled" || message.status === "expired" || message.status === "opted_out";
  return (
    <div className={`flex flex-col gap-0.5 ${isOurs ? "items-end" : "items-start"}`}>
      {message.media.map((each) => (
        <Media key={each.index} media={each} />
      ))}
      {message.body && (
        <div className={`${BUBBLE} ${isOurs ? "rounded-br-md bg-accent-soft" : "rounded-bl-md border border-line bg-surface"} ${isVoid ? "opacity-70" : ""}`}>{message.body}</div>
      )}
      <Under message={message} />
    </div>
  );
}

/** Who, when, and how it stands; the state opens all that the carrier said. */
function Under({ message }: { message: Message }) {
  const zone = useZone();
  const author = useAuthor(message);
  const [isOpen, setOpen] = useState(false);
  return (
    <p className="flex flex-wrap items-center gap-x-1.5 px-1 text-xs text-dim">
      {author && <span>{author}</span>}
      {author && <span aria-hidden>·</span>}
      <time dateTime={message.created_at} title={fullTime(message.created_at, zone)} className="tabular">
        {shortTime(message.created_at, zone, new Date(message.created_at))}
      </time>
      {message.direction === "outbound" && <State message={message} onOpen={() => setOpen(true)} />}
      {isOpen && <MessageDialog id={message.id} onClose={() => setOpen(false)} />}
    </p>
  );
}

function useAuthor(message: Message): React.ReactNode {
  const t = useTexts("inbox");
  const me = useMe();
  const { data } = useMembers();
  if (message.direction === "inbound") return null;
  if (message.sent_by === "human") {
    if (message.author_id === me.user?.id) return t.you;
    const member = data?.members.find((each) => each.user_id === message.author_id);
    return member?.name ?? member?.email ?? t.senders.human;
  }
  if (message.campaign_id) {
    return (
      <Link to="/campaigns/$id" params={{ id: message.campaign_id }} className="underline">
        {t.senders.campaign}
      </Link>
    );
  }
  return t.senders[message.sent_by ?? "system"];
}

const LOOKS: Record<Message["status"], [LucideIcon, string]> = {
  scheduled: [Clock, "text-info"],
  queued: [Clock, ""],
  sent: [Check, ""],
  delivered: [CheckCheck, "text-good"],
  undelivered: [TriangleAlert, "text-bad font-medium"],
  failed: [TriangleAlert, "text-bad font-medium"],
  unknown: [CircleHelp, "text-warn font-medium"],
  opted_out: [Ban, "text-bad"],
  canceled: [Ban, ""],
  expired: [Ban, ""],
  received: [Check, ""],
};

function State({ message, onOpen }: { message: Message; onOpen: () => void }) {
  const t = useTexts("inbox");
  const [Icon, tone] = LOOKS[message.status];
  return (
    <>
      <button type="button" className={`inline-flex items-center gap-1 rounded hover:underline ${tone}`} title={t.details} onClick={onOpen}>
        <Icon size={13} aria-hidden className="shrink-0" />
        <span className="text-left">{useStateWords(message)}</span>
      </button>
      {message.status === "scheduled" && <Cancel id={message.id} />}
    </>
  );
}

/** The state in words; of a failure the carrier's code, explained. */
export function useStateWords(message: Message): string {
  const t = useTexts("inbox");
  const zone = useZone();
  if (message.status === "scheduled") {
    const at = exactTime(message.due_at ?? message.scheduled_at ?? message.created_at, zone);
    return message.held_by === "organization_hours" ? t.heldByOurs(at) : message.held_by === "recipient_hours" ? t.heldByTheirs(at) : t.leavesAt(at);
  }
  const code = message.error_code;
  const why = code ? (t.codes[code] ?? message.error ?? code) : message.error;
  const isFailure = message.status === "failed" || message.status === "undelivered";
  return isFailure && why ? t.failedBecause(why) : t.states[message.status];
}

function Cancel({ id }: { id: string }) {
  const t = useTexts("inbox");
  const cancel = useCancelScheduled(() => toast.done(t.canceled));
  return (
    <button type="button" aria-disabled={cancel.isPending} className="font-medium text-accent hover:underline" onClick={() => !cancel.isPending && cancel.mutate(id)}>
      {t.cancelIt}
    </button>
  );
}

function Media({ media }: { media: Message["media"][number] }) {
  const t = useTexts("inbox");
  const isThere = media.url !== null && (media.status === "stored" || media.status === "given");
  const facts = [media.content_type, media.size_bytes === null ? null : bytes(media.size_bytes)].filter(Boolean).join(" · ");
  const label = t.fileOf(facts);
  // Pictures that came in are ours to serve; one that was given as a link stays a link, or its server would learn who reads.
  if (isThere && media.url?.startsWith("/") && media.content_type.startsWith("image/")) {
    return (
      <a href={media.url} target="_blank" rel="noreferrer" title={label} className="block">
        <img src={media.url} alt={label} loading="lazy" className="h-48 w-auto max-w-full rounded-2xl border border-line bg-sunken object-cover" />
      </a>
    );
  }
  return (
    <span className="flex max-w-full items-center gap-2 rounded-2xl border border-line bg-surface px-3 py-2 text-[13px]">
      <File size={15} aria-hidden className="shrink-0 text-dim" />
      {isThere && media.url ? (
        <a href={media.url} target="_blank" rel="noreferrer" className="min-w-0 truncate underline">
          {media.url.startsWith("/") ? facts : media.url}
        </a>
      ) : (
        <span className="text-dim">{t.mediaStates[media.status] ?? media.status}</span>
      )}
    </span>
  );
}

/** A text that left this page and isn't confirmed. */
export function Waiting({ thread, conversationId, text }: { thread: ThreadKey; conversationId: string; text: Unconfirmed }) {
  const t = useTexts("inbox");
  const zone = useZone();
  const now = useNow();
  const isUnknown = text.state === "failed" && isStale(text, now);
  const act = "rounded px-1 font-medium text-accent hover:underline";
  return (
    <div className="flex flex-col items-end gap-0.5">
      <div className={`${BUBBLE} rounded-br-md border border-line bg-surface ${text.state === "sending" ? "opacity-70" : "border-bad"}`}>
        {text.body || t.media}
      </div>
      <p role={text.state === "sending" ? "status" : "alert"} className="flex flex-wrap items-center justify-end gap-1.5 px-1 text-xs text-dim">
        {text.state === "sending" ? (
          t.sending
        ) : (
          <>
            <TriangleAlert size={13} aria-hidden className="text-bad" />
            <span className="text-bad">{text.state === "refused" ? t.refused(text.reason) : isUnknown ? t.neverConfirmed(exactTime(text.at, zone)) : t.notConfirmed}</span>
            {text.state === "failed" && !isUnknown && (
              <button type="button" className={act} onClick={() => void deliver(thread, conversationId, text)}>
                <RotateCw size={12} aria-hidden className="mr-1 inline" />
                {t.retry}
              </button>
            )}
            {(text.state === "refused" || isUnknown) && (
              <button type="button" className={act} onClick={() => takeBack(thread, text.key, new Date())}>
                {isUnknown ? t.writeAgain : t.editAgain}
              </button>
            )}
            <button type="button" className={act} onClick={() => settle(thread, text.key)}>
              {t.discard}
            </button>
          </>
        )}
      </p>
    </div>
  );
}
