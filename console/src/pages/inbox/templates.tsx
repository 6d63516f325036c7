import { FileText, Plus } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data, idempotencyKey } from "@/api/client";
import { type Command, useCommands } from "@/app/commands";
import { useList } from "@/api/queries";
import { useTexts } from "@/i18n";
import { segmentsOf } from "@/lib/segments";
import { Button } from "@/ui/button";
import { Confirm, Dialog } from "@/ui/dialog";
import { TextArea, TextField } from "@/ui/field";
import { Empty, Page, Time } from "@/ui/layout";
import { Table } from "@/ui/table";
import { toast } from "@/ui/toast";

type Template = Schemas["SmsTemplate"];
const VARIABLES = ["contact.first_name", "contact.name", "contact.company", "contact.email", "contact.phone", "org.name", "number.phone"];

export function Templates() {
  const t = useTexts("inbox");
  const [edited, setEdited] = useState<Template | "new" | null>(null);
  const query = useList(
    ["templates", "list"],
    (cursor, signal) => data(api.GET("/api/sms/templates", { params: { query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.templates,
  );
  useCommands(useMemo<Command[]>(() => [{ id: "templates new", label: t.templates.create, keys: "c", group: t.templates.title, run: () => setEdited("new") }], [t]));
  const create = (
    <Button look="primary" icon={Plus} needs="sms:write" onClick={() => setEdited("new")}>
      {t.templates.create}
    </Button>
  );
  return (
    <Page title={t.templates.title} lead={t.templates.lead} back={{ to: "/inbox", label: t.title }} actions={query.rows.length > 0 && create} isFlush>
      <Table
        label={t.templates.title}
        query={query}
        rowPx={56}
        columns={[
          {
            key: "name",
            title: t.templates.name,
            width: "minmax(8rem, 1fr)",
            cell: (row) => (
              <button type="button" className="block max-w-full truncate font-medium after:absolute after:inset-0" onClick={() => setEdited(row)}>
                {row.name}
              </button>
            ),
          },
          { key: "body", title: t.text, width: "minmax(10rem, 3fr)", isWide: true, cell: (row) => <span className="line-clamp-2 text-[13px] whitespace-normal text-dim">{row.body}</span> },
          { key: "segments", title: t.segmentsLabel, width: "6rem", isRight: true, isWide: true, cell: (row) => segmentsOf(row.body ?? "").segments },
          { key: "updated", title: t.changedAt, width: "9rem", isRight: true, cell: (row) => <Time at={row.updated_at} /> },
        ]}
        empty={
          <Empty icon={FileText} title={t.templates.empty} action={create}>
            {t.templates.emptyLead}
          </Empty>
        }
      />
      {edited && <Editor template={edited === "new" ? null : edited} onClose={() => setEdited(null)} />}
    </Page>
  );
}

function Editor({ template, onClose }: { template: Template | null; onClose: () => void }) {
  const t = useTexts("inbox");
  const [name, setName] = useState(template?.name ?? "");
  const [body, setBody] = useState(template?.body ?? "");
  const [faults, setFaults] = useState<Record<string, string>>({});
  const [asks, setAsks] = useState<"delete" | "leave" | null>(null);
  const key = useRef(idempotencyKey());
  const area = useRef<HTMLTextAreaElement>(null);
  const isChanged = name !== (template?.name ?? "") || body !== (template?.body ?? "");
  const save = useChange(
    () =>
      template
        ? data(api.PATCH("/api/sms/templates/{id}", { params: { path: { id: template.id } }, body: { name: name.trim(), body } }))
        : data(api.POST("/api/sms/templates", { params: { header: { "Idempotency-Key": key.current } }, body: { name: name.trim(), body } })),
    [["templates"]],
    {
      onDone: () => {
        toast.done(t.templates.saved);
        onClose();
      },
      onError: (error) => {
        key.current = idempotencyKey();
        const found = Object.fromEntries(error.details.map((each) => [each.field, each.reason]));
        if (error.code === "already_exists") found["name"] = error.message;
        setFaults(found);
        return Object.keys(found).length > 0;
      },
    },
  );
  const remove = useChange((id: string) => api.DELETE("/api/sms/templates/{id}", { params: { path: { id } } }), [["templates"]], {
    onDone: () => {
      toast.done(t.templates.deleted);
      onClose();
    },
  });
  const insert = (variable: string): void => {
    const element = area.current;
    const at = element?.selectionStart ?? body.length;
    setBody(`${body.slice(0, at)}{{${variable}}}${body.slice(element?.selectionEnd ?? at)}`);
    element?.focus();
  };
  const count = segmentsOf(body);
  return (
    <Dialog
      isOpen
      size="md"
      onClose={() => (isChanged ? setAsks("leave") : onClose())}
      title={template ? t.templates.edit : t.templates.create}
      actions={
        <>
          {template && (
            <span className="mr-auto">
              <Button look="danger" needs="sms:write" onClick={() => setAsks("delete")}>
                {t.templates.delete}
              </Button>
            </span>
          )}
          <Button look="primary" needs="sms:write" busy={save.isPending} off={name.trim() && body.trim() ? null : t.templates.fillFirst} onClick={() => save.mutate(undefined)}>
            {t.templates.save}
          </Button>
        </>
      }
    >
      <div className="space-y-2">
        <TextField label={t.templates.name} hint={t.templates.nameHint} error={faults["name"]} value={name} maxLength={120} onChange={(event) => setName(event.target.value)} />
        <TextArea ref={area} label={t.text} rows={6} maxLength={1600} error={faults["body"]} hint={`${t.segments(count.segments)} · ${t.charsOf(String(count.used), String(count.room))}`} value={body} onChange={(event) => setBody(event.target.value)} />
        <p className="flex flex-wrap items-center gap-1 text-xs text-dim">
          {t.templates.variables}
          {VARIABLES.map((each) => (
            <button key={each} type="button" className="rounded bg-sunken px-1.5 py-0.5 font-mono hover:bg-hover" onClick={() => insert(each)}>
              {`{{${each}}}`}
            </button>
          ))}
        </p>
        <p className="text-xs text-dim">{t.templates.fallback}</p>
      </div>
      <Confirm isOpen={asks === "delete"} onClose={() => setAsks(null)} title={t.templates.deleteTitle(template?.name ?? "")} verb={t.templates.delete} needs="sms:write" isBusy={remove.isPending} onConfirm={() => template && remove.mutate(template.id)}>
        {t.templates.deleteLead}
      </Confirm>
      <Confirm isOpen={asks === "leave"} onClose={() => setAsks(null)} title={t.leaveTitle} verb={t.leave} onConfirm={onClose}>
        {t.leaveLead}
      </Confirm>
    </Dialog>
  );
}
