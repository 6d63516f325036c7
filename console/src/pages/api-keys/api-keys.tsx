import { KeyRound, Plus, Trash2 } from "lucide-react";
import { useMemo, useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { useList } from "@/api/queries";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { Button, IconButton, buttonClass } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Badge, Empty, Page, Time } from "@/ui/layout";
import { type Column, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { CreateKey } from "./create";

type ApiKey = Schemas["ApiKey"];

export function ApiKeys() {
  const t = useTexts("apiKeys");
  const [isCreating, setCreating] = useState(false);
  const [revoked, setRevoked] = useState<ApiKey | null>(null);
  const query = useList(
    ["api-keys"],
    (cursor, signal) => data(api.GET("/api/api-keys", { params: { query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.api_keys,
  );
  const columns = useColumns(setRevoked);
  const commands = useMemo<Command[]>(() => [{ id: "key create", label: t.create, keys: "n", run: () => setCreating(true) }], [t]);
  useCommands(commands);
  const create = (
    <Button look="primary" icon={Plus} needs="team:write" onClick={() => setCreating(true)}>
      {t.create}
    </Button>
  );
  return (
    <Page
      title={t.title}
      lead={t.lead}
      guide="/guides/agent-setup"
      isFlush
      actions={
        <>
          <a href="/docs" className={buttonClass()}>
            {t.docs}
          </a>
          {create}
        </>
      }
    >
      <Table
        label={t.title}
        query={query}
        columns={columns}
        rowPx={52}
        empty={
          <Empty icon={KeyRound} title={t.emptyTitle} action={create}>
            {t.emptyLead}
          </Empty>
        }
      />
      {isCreating && <CreateKey onClose={() => setCreating(false)} />}
      {revoked && <Revoke apiKey={revoked} onClose={() => setRevoked(null)} />}
    </Page>
  );
}

function useColumns(onRevoke: (key: ApiKey) => void): Column<ApiKey>[] {
  const t = useTexts("apiKeys");
  const shell = useTexts("shell");
  return [
    {
      key: "name",
      title: t.name,
      width: "minmax(9rem, 1.5fr)",
      cell: (row) => (
        <>
          <span className={`block truncate font-medium ${row.revoked_at ? "text-dim line-through" : ""}`}>{row.name}</span>
          <span className="block truncate font-mono text-xs text-dim">{row.prefix}…</span>
        </>
      ),
    },
    { key: "role", title: t.role, width: "6.5rem", isWide: true, cell: (row) => shell.roles[row.role] },
    {
      key: "scopes",
      title: t.scopes,
      width: "minmax(8rem, 2fr)",
      isWide: true,
      cell: (row) => {
        const text = row.scopes.length === 0 || row.scopes.includes("*") ? t.everything : row.scopes.map(t.may).join(", ");
        return <span title={text}>{text}</span>;
      },
    },
    { key: "used", title: t.used, width: "8rem", isWide: true, cell: (row) => (row.last_used_at ? <Time at={row.last_used_at} isRelative /> : <span className="text-dim">{t.unused}</span>) },
    { key: "expires", title: t.expires, width: "8rem", isWide: true, cell: (row) => (row.expires_at ? <Time at={row.expires_at} /> : <span className="text-dim">{t.never}</span>) },
    { key: "state", title: t.state, width: "6.5rem", cell: (row) => <State of={row} /> },
    {
      key: "revoke",
      title: "",
      width: "2.75rem",
      isRight: true,
      cell: (row) => !row.revoked_at && <IconButton icon={Trash2} label={t.revokeOf(row.name)} needs="team:write" onClick={() => onRevoke(row)} />,
    },
  ];
}

function State({ of }: { of: ApiKey }) {
  const t = useTexts("apiKeys");
  const [now] = useState(() => Date.now());
  if (of.revoked_at) return <Badge tone="bad">{t.revoked}</Badge>;
  if (of.expires_at && new Date(of.expires_at).getTime() < now) return <Badge tone="warn">{t.expired}</Badge>;
  return <Badge tone="good">{t.active}</Badge>;
}

function Revoke({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const t = useTexts("apiKeys");
  const revoke = useChange(() => api.DELETE("/api/api-keys/{id}", { params: { path: { id: apiKey.id } } }), [["api-keys"]], {
    onDone: () => {
      toast.done(t.revokedNow(apiKey.name));
      onClose();
    },
  });
  return (
    <Confirm isOpen onClose={onClose} title={t.revokeTitle(apiKey.name)} verb={t.revoke} needs="team:write" typed={apiKey.name} isBusy={revoke.isPending} onConfirm={() => revoke.mutate(undefined)}>
      <p>{t.revokeLead}</p>
    </Confirm>
  );
}
