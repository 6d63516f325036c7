import { useBlocker } from "@tanstack/react-router";
import { Plus, X } from "lucide-react";
import { type KeyboardEvent, useState } from "react";
import { useForm } from "react-hook-form";
import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { queryClient } from "@/api/queries";
import { useTexts } from "@/i18n";
import { Button, IconButton } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Field, TextArea, TextField } from "@/ui/field";
import { Badge, Card } from "@/ui/layout";
import { toast } from "@/ui/toast";
import type { ContactRow } from "./contact";

type Patch = Schemas["ContactPatch"];
const NAMES = ["name", "company", "email", "caller_name", "carrier", "line_type"] as const;
type Name = (typeof NAMES)[number];
type Values = Record<Name, string>;

export function usePatchContact(contact: ContactRow, onFault?: (field: string, reason: string) => boolean) {
  return useChange((patch: Patch) => data(api.PATCH("/api/contacts/{id}", { params: { path: { id: contact.id } }, body: patch })), [["contacts"], ["conversations"]], {
    onDone: (next) => queryClient.setQueryData(["contacts", contact.id], next),
    ...(onFault ? { onError: (error) => error.details.map((each) => onFault(each.field, each.reason)).some(Boolean) } : {}),
  });
}

function valuesOf(contact: ContactRow): Values {
  return Object.fromEntries(NAMES.map((name) => [name, contact[name] ?? ""])) as Values;
}

/** Each field with who says so. A value that is cleared shows the next source's: the CRM's, then the carrier's. */
export function Fields({ contact }: { contact: ContactRow }) {
  const t = useTexts("contacts");
  const form = useForm<Values>({ values: valuesOf(contact), resetOptions: { keepDirtyValues: true } });
  const { errors, dirtyFields, isDirty } = form.formState;
  const save = usePatchContact(contact, (field, reason) => {
    if (!NAMES.some((name) => name === field)) return false;
    form.setError(field as Name, { message: reason });
    return true;
  });
  const submit = form.handleSubmit((values) => {
    const changed = NAMES.filter((name) => dirtyFields[name]);
    const patch = Object.fromEntries(changed.map((name) => [name, values[name].trim() || null])) as Patch;
    save.mutate(patch, {
      onSuccess: (next) => {
        form.reset(valuesOf(next));
        toast.done(t.saved);
      },
    });
  });
  return (
    <form onSubmit={(event) => void submit(event)}>
      <Card
        title={t.fields}
        actions={
          <Button size="sm" look={isDirty ? "primary" : "plain"} type="submit" needs="contacts:write" busy={save.isPending} off={isDirty ? null : t.nothingChanged} onClick={() => undefined}>
            {t.save}
          </Button>
        }
      >
        <div className="grid gap-x-4 gap-y-1 sm:grid-cols-2">
          {NAMES.map((name) => (
            <div key={name} className="relative">
              <TextField label={t[name]} error={errors[name]?.message} hint={hintOf(t, contact, name)} maxLength={200} autoComplete="off" {...form.register(name)} />
              {contact[name] && contact.source[name] === "user" && (
                <button
                  type="button"
                  className="absolute top-0 right-0 text-xs text-accent hover:underline"
                  onClick={() => save.mutate({ [name]: null } as Patch, { onSuccess: (next) => {
                    form.resetField(name, { defaultValue: next[name] ?? "" });
                    toast.done(next[name] ? t.revealed(t.sources[next.source[name] ?? "user"]) : t.cleared);
                  } })}
                >
                  {t.clear}
                </button>
              )}
            </div>
          ))}
        </div>
      </Card>
      <Leaving isDirty={isDirty && !save.isPending} />
    </form>
  );
}

type Texts = ReturnType<typeof useTexts<"contacts">>;

function hintOf(t: Texts, contact: ContactRow, name: Name): string | undefined {
  const source = contact.source[name];
  return source ? t.saidBy(t.sources[source]) : undefined;
}

/** What is typed and not saved is not lost by a click elsewhere. */
export function Leaving({ isDirty }: { isDirty: boolean }) {
  const t = useTexts("contacts");
  const blocker = useBlocker({ shouldBlockFn: () => isDirty, enableBeforeUnload: () => isDirty, withResolver: true });
  return (
    <Confirm isOpen={blocker.status === "blocked"} onClose={() => blocker.reset?.()} title={t.leaveTitle} verb={t.leave} onConfirm={() => blocker.proceed?.()}>
      {t.leaveLead}
    </Confirm>
  );
}

export function Notes({ contact }: { contact: ContactRow }) {
  const t = useTexts("contacts");
  const [text, setText] = useState<string | null>(null);
  const save = usePatchContact(contact);
  const isDirty = text !== null && text.trim() !== (contact.notes ?? "");
  return (
    <Card
      title={t.notes}
      actions={
        <Button size="sm" needs="contacts:write" look={isDirty ? "primary" : "plain"} busy={save.isPending} off={isDirty ? null : t.nothingChanged} onClick={() => save.mutate({ notes: text?.trim() || null }, { onSuccess: () => { setText(null); toast.done(t.saved); } })}>
          {t.save}
        </Button>
      }
    >
      <TextArea isBare label={t.notes} hint={t.notesHint} rows={4} maxLength={8000} value={text ?? contact.notes ?? ""} onChange={(event) => setText(event.target.value)} />
      <Leaving isDirty={isDirty && !save.isPending} />
    </Card>
  );
}

const MOST_TAGS = 50;

export function TagsCard({ contact }: { contact: ContactRow }) {
  const t = useTexts("contacts");
  const [text, setText] = useState("");
  const [fault, setFault] = useState<string>();
  const save = usePatchContact(contact, (field, reason) => {
    if (!field.startsWith("tags")) return false;
    setFault(reason);
    return true;
  });
  const set = (tags: string[]): void => {
    setFault(undefined);
    const before = contact;
    queryClient.setQueryData(["contacts", contact.id], { ...contact, tags });
    save.mutate({ tags }, { onError: () => queryClient.setQueryData(["contacts", contact.id], before) });
  };
  const add = (): void => {
    const tag = text.trim();
    if (!tag) return;
    setText("");
    if (contact.tags.length >= MOST_TAGS) setFault(t.mostTags(MOST_TAGS));
    else if (!contact.tags.includes(tag)) set([...contact.tags, tag]);
  };
  return (
    <Card title={t.tags}>
      <ul className="mb-2 flex flex-wrap gap-1.5 empty:hidden">
        {contact.tags.map((tag) => (
          <li key={tag} className="flex items-center">
            <Badge>{tag}</Badge>
            <IconButton size="sm" label={t.removeTag(tag)} icon={X} needs="contacts:write" onClick={() => set(contact.tags.filter((each) => each !== tag))} />
          </li>
        ))}
      </ul>
      <Field label={t.addTag} isBare error={fault}>
        {(ids) => (
          <span className="flex gap-2">
            <input
              {...ids}
              value={text}
              maxLength={60}
              placeholder={t.addTag}
              autoComplete="off"
              className="h-9 min-w-0 flex-1 rounded-control border border-line-strong bg-surface px-2.5 hover:border-dim max-md:h-11 max-md:text-base"
              onChange={(event) => setText(event.target.value)}
              onKeyDown={(event: KeyboardEvent) => {
                if (event.key !== "Enter" && event.key !== ",") return;
                event.preventDefault();
                add();
              }}
            />
            <Button icon={Plus} needs="contacts:write" off={text.trim() ? null : t.tagFirst} onClick={add}>
              {t.add}
            </Button>
          </span>
        )}
      </Field>
    </Card>
  );
}
