/** One message: heard, read, and what becomes of it. */
import { Link } from "@tanstack/react-router";
import { Check, PhoneCall, PhoneOutgoing, Trash2, Undo2, X } from "lucide-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { patchRows, queryClient, useThing } from "@/api/queries";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { isE164, phone } from "@/lib/format";
import { Button, IconButton, buttonClass } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Facts, Failure, Skeleton, Time } from "@/ui/layout";
import { PanelBoundary } from "@/ui/panel";
import { toast } from "@/ui/toast";
import { MessagePlayer } from "./player";
import { callerOf } from "./voicemails";

type Voicemail = Schemas["Voicemail"];

export function VoicemailPanel({ id, onClose }: { id: string; onClose: () => void }) {
  const t = useTexts("voicemails");
  const query = useThing(["voicemails", id], (signal) => data(api.GET("/api/voicemails/{id}", { params: { path: { id } }, signal })));
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    panel.current?.focus({ preventScroll: true });
  }, []);
  return (
    <aside ref={panel} tabIndex={-1} data-quiet-focus aria-label={t.message} className="flex min-h-0 w-[26rem] shrink-0 flex-col border-t border-l border-line bg-surface max-lg:w-80 max-md:w-full max-md:border-l-0">
      <div className="flex items-center justify-between gap-2 border-b border-line py-1.5 pr-2 pl-4">
        <h2 className="truncate">{query.data ? callerOf(query.data, t.withheld) : t.message}</h2>
        <IconButton icon={X} label={t.close} onClick={onClose} />
      </div>
      <div className="min-h-0 flex-1 overflow-auto p-4">
        {query.data ? (
          <Message voicemail={query.data} onGone={onClose} />
        ) : query.error ? (
          <Failure error={query.error} onRetry={() => void query.refetch()} />
        ) : (
          <Skeleton lines={6} />
        )}
      </div>
    </aside>
  );
}

/** Shown at once; taken back when the server refuses. */
function useHeard(voicemail: Voicemail): (heard: boolean) => void {
  const show = useCallback(
    (heard: boolean) => {
      patchRows<Voicemail>(["voicemails", "list"], voicemail.id, (row) => ({ ...row, heard }));
      queryClient.setQueryData<Voicemail>(["voicemails", voicemail.id], (old) => old && { ...old, heard });
    },
    [voicemail.id],
  );
  const { mutate } = useChange((heard: boolean) => data(api.PATCH("/api/voicemails/{id}", { body: { heard }, params: { path: { id: voicemail.id } } })), [["dashboard"], ["voicemails", voicemail.id]], {
    onError: () => {
      show(voicemail.heard);
      return false;
    },
  });
  return useCallback(
    (heard) => {
      show(heard);
      mutate(heard);
    },
    [show, mutate],
  );
}

function Message({ voicemail, onGone }: { voicemail: Voicemail; onGone: () => void }) {
  const t = useTexts("voicemails");
  const mayWrite = useCan("calls:write");
  const mark = useHeard(voicemail);
  const [isDeleting, setDeleting] = useState(false);
  const { heard } = voicemail;
  const commands = useMemo<Command[]>(
    () => [
      { id: "heard", label: heard ? t.markUnheard : t.markHeard, keys: "h", run: () => mark(!heard) },
      { id: "delete voicemail", label: t.delete, run: () => setDeleting(true) },
    ],
    [t, heard, mark],
  );
  useCommands(commands);
  const isNumber = isE164(voicemail.from);
  return (
    <div className="space-y-5">
      <PanelBoundary>
        <MessagePlayer voicemail={voicemail} onEnded={() => mayWrite && !heard && mark(true)} />
      </PanelBoundary>
      <p className="text-[15px] leading-relaxed whitespace-pre-wrap">{voicemail.transcript ?? <span className="text-dim">{t.beingWritten}</span>}</p>
      {voicemail.transcript === "" && <p className="text-dim">{t.noWords}</p>}
      <div className="flex flex-wrap gap-2">
        {isNumber && (
          <Link to="/calls" search={{ place: voicemail.from }} className={buttonClass("primary")}>
            <PhoneOutgoing size={16} aria-hidden />
            {t.callBack}
          </Link>
        )}
        <Button icon={heard ? Undo2 : Check} needs="calls:write" onClick={() => mark(!heard)}>
          {heard ? t.markUnheard : t.markHeard}
        </Button>
        <Button look="danger" icon={Trash2} needs="calls:write" onClick={() => setDeleting(true)}>
          {t.delete}
        </Button>
      </div>
      <Facts
        items={[
          [t.from, isNumber ? phone(voicemail.from) : t.withheld],
          [t.to, phone(voicemail.to)],
          [t.when, <Time key="when" at={voicemail.created_at} />],
          voicemail.heard_at !== null && [t.heard, <span key="heard"><Time at={voicemail.heard_at} /> {voicemail.heard_by}</span>],
          voicemail.contact_id !== null && [
            t.contact,
            <Link key="contact" to={"/contacts/$id" as string} params={{ id: voicemail.contact_id } as never} className="underline decoration-line-strong underline-offset-2">
              {voicemail.contact_name ?? t.openContact}
            </Link>,
          ],
          [
            t.call,
            <Link key="call" to="/calls/$id" params={{ id: voicemail.call_id }} className="inline-flex items-center gap-1.5 underline decoration-line-strong underline-offset-2">
              <PhoneCall size={14} aria-hidden />
              {t.openCall}
            </Link>,
          ],
        ]}
      />
      {isDeleting && <DeleteMessage voicemail={voicemail} onClose={() => setDeleting(false)} onGone={onGone} />}
    </div>
  );
}

function DeleteMessage({ voicemail, onClose, onGone }: { voicemail: Voicemail; onClose: () => void; onGone: () => void }) {
  const t = useTexts("voicemails");
  const remove = useChange((id: string) => api.DELETE("/api/voicemails/{id}", { params: { path: { id } } }), [["dashboard"]], {
    onDone: () => {
      toast.done(t.deleted);
      onGone();
      void queryClient.invalidateQueries({ queryKey: ["voicemails", "list"] });
    },
  });
  return (
    <Confirm isOpen onClose={onClose} title={t.deleteTitle} verb={t.delete} needs="calls:write" isBusy={remove.isPending} onConfirm={() => remove.mutate(voicemail.id)}>
      {t.deleteLead}
    </Confirm>
  );
}
