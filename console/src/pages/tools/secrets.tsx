/** Secrets that tools write into their requests: their names and hosts. What was stored is never shown. */
import { KeyRound, Pencil, Plus, Trash2 } from "lucide-react";
import { useMemo, useState } from "react";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { byField } from "@/lib/refusals";
import { Button, IconButton } from "@/ui/button";
import { Confirm, Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Empty, Page, Time } from "@/ui/layout";
import { type Column, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { ToolTabs } from "./head";
import { type Secret, useIsAdmin, useSecrets } from "./queries";

export function Secrets() {
  const t = useTexts("tools");
  const isAdmin = useIsAdmin();
  const query = useSecrets();
  const [edited, setEdited] = useState<Secret | "new" | null>(null);
  const [doomed, setDoomed] = useState<Secret | null>(null);
  useCommands(useMemo<Command[]>(() => (isAdmin ? [{ id: "secret new", label: t.addSecret, keys: "n", run: () => setEdited("new") }] : []), [isAdmin, t]));
  const create = (
    <Button look="primary" icon={Plus} needs="integrations:write" onClick={() => setEdited("new")}>
      {t.addSecret}
    </Button>
  );
  return (
    <div className="flex h-full flex-col">
      <Page title={t.secrets} lead={t.secretsLead} back={{ to: "/tools", label: t.title }} actions={isAdmin && create} isFlush>
        <ToolTabs active="secrets" />
        {isAdmin ? (
          <Table
            label={t.secrets}
            query={query}
            columns={columnsOf(t, setEdited, setDoomed)}
            empty={
              <Empty icon={KeyRound} title={t.noSecretsTitle} action={create}>
                {t.noSecretsLead}
              </Empty>
            }
          />
        ) : (
          <Empty icon={KeyRound} title={t.secretsAdmins} />
        )}
      </Page>
      {edited && <SecretForm secret={edited === "new" ? null : edited} onClose={() => setEdited(null)} />}
      {doomed && <DeleteSecret secret={doomed} onClose={() => setDoomed(null)} />}
    </div>
  );
}

function columnsOf(t: ReturnType<typeof useTexts<"tools">>, onEdit: (secret: Secret) => void, onDelete: (secret: Secret) => void): Column<Secret>[] {
  return [
    { key: "name", title: t.name, width: "minmax(8rem, 1.5fr)", cell: (row) => <span className="font-mono text-[13px]">{row.name}</span> },
    { key: "host", title: t.host, width: "minmax(8rem, 2fr)", cell: (row) => row.host },
    { key: "value", title: t.value, width: "6rem", isWide: true, cell: () => <span className="text-dim">••••••••</span> },
    { key: "updated", title: t.updated, width: "8rem", isWide: true, isRight: true, cell: (row) => <Time at={row.updated_at} /> },
    {
      key: "actions",
      title: "",
      width: "4.75rem",
      isRight: true,
      cell: (row) => (
        <>
          <IconButton icon={Pencil} label={t.changeSecret(row.name)} needs="integrations:write" size="sm" onClick={() => onEdit(row)} />
          <IconButton icon={Trash2} label={t.deleteOf(row.name)} needs="integrations:write" size="sm" onClick={() => onDelete(row)} />
        </>
      ),
    },
  ];
}

const FIELDS = ["name", "host", "value"] as const;

function SecretForm({ secret, onClose }: { secret: Secret | null; onClose: () => void }) {
  const t = useTexts("tools");
  const shell = useTexts("shell");
  const attempt = useAttempt();
  const [name, setName] = useState(secret?.name ?? "");
  const [host, setHost] = useState(secret?.host ?? "");
  const [value, setValue] = useState("");
  const [faults, setFaults] = useState<Partial<Record<(typeof FIELDS)[number], string>>>({});
  const save = useChange(
    () =>
      secret
        ? data(api.PATCH("/api/tool-secrets/{id}", { params: { path: { id: secret.id } }, body: { value, ...(host.trim() === secret.host ? {} : { host: host.trim() }) } }))
        : data(api.POST("/api/tool-secrets", { params: { header: { "Idempotency-Key": attempt.key([name, host, value]) } }, body: { name: name.trim(), host: host.trim(), value } })),
    [["tool-secrets"]],
    {
      onDone: (saved) => {
        toast.done(t.secretSaved(saved.name));
        onClose();
      },
      onError: (error) => {
        const { at, rest } = byField(error, FIELDS);
        setFaults(at);
        return !rest;
      },
    },
  );
  const off = !name.trim() || !host.trim() || !value ? t.allFirst : null;
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={secret ? t.changeSecret(secret.name) : t.addSecret}
      description={t.secretFormLead}
      actions={
        <>
          <Button onClick={onClose}>{shell.cancel}</Button>
          <Button look="primary" type="submit" form="secret" needs="integrations:write" off={off} busy={save.isPending}>
            {shell.save}
          </Button>
        </>
      }
    >
      <form
        id="secret"
        noValidate
        className="space-y-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (!off && !save.isPending) save.mutate(undefined);
        }}
      >
        <TextField label={t.name} hint={secret ? t.secretNameFixed : t.secretNameHint} placeholder="shop_key" maxLength={64} spellCheck={false} autoComplete="off" disabled={secret !== null} error={faults.name} value={name} onChange={(event) => setName(event.target.value)} />
        <TextField label={t.host} hint={t.hostHint} placeholder="api.example.com" maxLength={253} spellCheck={false} autoComplete="off" error={faults.host} value={host} onChange={(event) => setHost(event.target.value)} />
        <TextField label={secret ? t.newValue : t.value} hint={t.valueHint} type="password" maxLength={4000} autoComplete="new-password" error={faults.value} value={value} onChange={(event) => setValue(event.target.value)} />
      </form>
    </Dialog>
  );
}

function DeleteSecret({ secret, onClose }: { secret: Secret; onClose: () => void }) {
  const t = useTexts("tools");
  const shell = useTexts("shell");
  const [refused, setRefused] = useState<string>();
  const remove = useChange(() => api.DELETE("/api/tool-secrets/{id}", { params: { path: { id: secret.id } } }), [["tool-secrets"]], {
    onDone: () => {
      toast.done(t.deleted(secret.name));
      onClose();
    },
    onError: (error) => {
      setRefused(error.message);
      return true;
    },
  });
  return (
    <Confirm isOpen onClose={onClose} title={t.deleteTitle(secret.name)} verb={shell.delete} typed={secret.name} needs="integrations:write" isBusy={remove.isPending} onConfirm={() => remove.mutate(undefined)}>
      <p>{t.deleteSecretLead}</p>
      {refused && (
        <p role="alert" className="mt-2 font-medium text-bad">
          {refused}
        </p>
      )}
    </Confirm>
  );
}
