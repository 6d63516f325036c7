/** What colleagues wrote of a call. */
import { Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { ownKey, useCan, useMe } from "@/api/me";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { Button, IconButton } from "@/ui/button";
import { TextArea } from "@/ui/field";
import { Time } from "@/ui/layout";
import { toast } from "@/ui/toast";
import type { CallDetail } from "../queries";

type Note = Schemas["CallNote"];

export function Notes({ call }: { call: CallDetail }) {
  const t = useTexts("call");
  const mayWrite = useCan("calls:write");
  const [editing, setEditing] = useState<string>();
  return (
    <div className="space-y-2.5">
      {mayWrite && <AddNote callId={call.id} />}
      {call.notes.map((note) => (editing === note.id ? <EditNote key={note.id} callId={call.id} note={note} onClose={() => setEditing(undefined)} /> : <NoteView key={note.id} callId={call.id} note={note} onEdit={() => setEditing(note.id)} />))}
      {!mayWrite && call.notes.length === 0 && <p className="text-dim">{t.noNotes}</p>}
    </div>
  );
}

/** What is being written is kept for the call until it is saved. */
function useDraft(callId: string): [string, (text: string) => void] {
  const key = `hum.note.${ownKey(useMe(), callId)}`;
  const [text, setText] = useState(() => localStorage.getItem(key) ?? "");
  return [
    text,
    (next) => {
      setText(next);
      if (next) localStorage.setItem(key, next);
      else localStorage.removeItem(key);
    },
  ];
}

function AddNote({ callId }: { callId: string }) {
  const t = useTexts("call");
  const [body, setBody] = useDraft(callId);
  const attempt = useAttempt();
  const add = useChange((text: string) => data(api.POST("/api/calls/{call_id}/notes", { body: { body: text }, params: { path: { call_id: callId }, header: { "Idempotency-Key": attempt.key(text) } } })), [["calls", callId]], {
    onDone: () => {
      attempt.done();
      setBody("");
    },
  });
  const submit = (): void => {
    if (body.trim() && !add.isPending) add.mutate(body.trim());
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <TextArea isBare label={t.addNote} placeholder={t.addNote} rows={body ? 3 : 1} maxLength={8000} value={body} onChange={(event) => setBody(event.target.value)} onKeyDown={(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && submit()} />
      {body.trim() && (
        <div className="mt-1.5">
          <Button size="sm" look="primary" type="submit" busy={add.isPending}>
            {t.saveNote}
          </Button>
        </div>
      )}
    </form>
  );
}

function NoteView({ callId, note, onEdit }: { callId: string; note: Note; onEdit: () => void }) {
  const t = useTexts("call");
  const again = useChange((body: string) => data(api.POST("/api/calls/{call_id}/notes", { body: { body }, params: { path: { call_id: callId } } })), [["calls", callId]]);
  const remove = useChange((id: string) => api.DELETE("/api/calls/{call_id}/notes/{id}", { params: { path: { call_id: callId, id } } }), [["calls", callId]], {
    onDone: () => toast.done(t.noteDeleted, { label: t.undo, run: () => again.mutate(note.body) }),
  });
  return (
    <article className="rounded-control bg-canvas px-3 py-2">
      <div className="flex items-center gap-2 text-xs text-dim">
        <span className="min-w-0 truncate font-medium">{note.author}</span>
        <Time at={note.created_at} />
        {note.updated_at && <span>{t.changed}</span>}
        <span className="ml-auto flex">
          <IconButton size="sm" icon={Pencil} label={t.editNote} needs="calls:write" onClick={onEdit} />
          <IconButton size="sm" icon={Trash2} label={t.deleteNote} needs="calls:write" onClick={() => remove.mutate(note.id)} />
        </span>
      </div>
      <p className="whitespace-pre-wrap">{note.body}</p>
    </article>
  );
}

function EditNote({ callId, note, onClose }: { callId: string; note: Note; onClose: () => void }) {
  const t = useTexts("call");
  const [body, setBody] = useState(note.body);
  const save = useChange((text: string) => api.PATCH("/api/calls/{call_id}/notes/{id}", { body: { body: text }, params: { path: { call_id: callId, id: note.id } } }), [["calls", callId]], { onDone: onClose });
  return (
    <div className="space-y-1.5">
      <TextArea autoFocus isBare label={t.editNote} rows={4} maxLength={8000} value={body} onChange={(event) => setBody(event.target.value)} onKeyDown={(event) => event.key === "Escape" && onClose()} />
      <div className="flex gap-2">
        <Button size="sm" look="primary" busy={save.isPending} off={body.trim() ? null : t.textFirst} onClick={() => save.mutate(body.trim())}>
          {t.saveNote}
        </Button>
        <Button size="sm" onClick={onClose}>
          {t.cancel}
        </Button>
      </div>
    </div>
  );
}
