/** One MCP server: its state, and its tools as agents have them. */
import { useNavigate, useParams } from "@tanstack/react-router";
import { Pencil, RotateCw, Trash2 } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { useCan } from "@/api/me";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Card, Facts, Loaded, Page, Skeleton, Time } from "@/ui/layout";
import { Menu } from "@/ui/menu";
import { toast } from "@/ui/toast";
import { StatusBadge } from "./badges";
import { ServerForm } from "./form";
import { type Server, TOUCHED, useServer } from "./queries";
import { ServerTools } from "./tools";

export function McpServerPage() {
  const t = useTexts("mcpServers");
  const { id } = useParams({ from: "/shell/mcp-servers/$id" });
  const query = useServer(id);
  return (
    <Page title={query.data?.name ?? t.server} back={{ to: "/mcp-servers", label: t.title }} actions={query.data && <Actions server={query.data} />}>
      <Loaded query={query} skeleton={<Skeleton lines={8} />}>
        {(server) => (
          <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,5fr)_minmax(0,2fr)]">
            <ServerTools server={server} />
            <About server={server} />
          </div>
        )}
      </Loaded>
    </Page>
  );
}

function Actions({ server }: { server: Server }) {
  const t = useTexts("mcpServers");
  const shell = useTexts("shell");
  const navigate = useNavigate();
  const canWrite = useCan("integrations:write");
  const [open, setOpen] = useState<"edit" | "delete" | null>(null);
  const path = { id: server.id };
  const refresh = useChange(() => data(api.POST("/api/mcp-servers/{id}/refresh", { params: { path, header: { "Idempotency-Key": idempotencyKey() } } })), TOUCHED, {
    onDone: (now) => {
      if (now.status === "ok") toast.done(now.waiting_count > 0 ? t.refreshedWaiting(now.waiting_count) : t.refreshedFine(now.tool_count));
    },
  });
  const remove = useChange(() => api.DELETE("/api/mcp-servers/{id}", { params: { path } }), [["mcp-servers", "list"], ["mcp-servers", "choices"]], {
    onDone: () => {
      toast.done(t.deleted(server.name));
      void navigate({ to: "/mcp-servers" });
    },
  });
  return (
    <>
      <Button icon={RotateCw} needs="integrations:write" busy={refresh.isPending} onClick={() => refresh.mutate(undefined)}>
        {t.refresh}
      </Button>
      <Button icon={Pencil} needs="integrations:write" onClick={() => setOpen("edit")}>
        {t.edit}
      </Button>
      {canWrite && <Menu label={t.actions} items={[{ label: t.delete, icon: Trash2, isDanger: true, onSelect: () => setOpen("delete") }]} />}
      {open === "edit" && <ServerForm server={server} onClose={() => setOpen(null)} />}
      <Confirm isOpen={open === "delete"} onClose={() => setOpen(null)} title={t.deleteTitle(server.name)} verb={shell.delete} typed={server.name} needs="integrations:write" isBusy={remove.isPending} onConfirm={() => remove.mutate(undefined)}>
        <p>{t.deleteLead}</p>
      </Confirm>
    </>
  );
}

function About({ server }: { server: Server }) {
  const t = useTexts("mcpServers");
  return (
    <Card title={t.about}>
      {server.enabled && server.failure && (
        <p role="alert" className="mb-3 rounded-control bg-bad-soft px-3 py-2 text-[13px] text-bad">
          {server.failure}
        </p>
      )}
      <Facts
        items={[
          [t.status, <StatusBadge key="s" of={server} />],
          [t.url, <span key="u" className="break-all">{server.url}</span>],
          [t.transport, t.transports[server.transport]],
          [t.auth, t.auths[server.oauth_token_url ? "oauth" : server.bearer_token ? "bearer" : "none"]],
          [t.headers, Object.keys(server.headers_json ?? {}).join(", ") || undefined],
          [t.protocol, server.protocol_version],
          [t.timeout, server.timeout_ms],
          [t.refreshed, <Time key="r" at={server.refreshed_at} />],
          [t.created, <Time key="c" at={server.created_at} />],
        ]}
      />
    </Card>
  );
}
