/** A server's tools: which agents have, which wait for a person's look, and what that person sees before accepting. */
import { ChevronRight } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { useCan } from "@/api/me";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { DiffLines } from "@/ui/diff-lines";
import { Switch } from "@/ui/field";
import { Code } from "@/ui/json";
import { Badge, Card, Facts, Loaded, Skeleton, Time } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { StateBadge } from "./badges";
import { type McpTool, type Server, TOUCHED, patchServer, useServerTools } from "./queries";
import { type Rights, withAllowed, withAutoApproval } from "./rights";

export function ServerTools({ server }: { server: Server }) {
  const t = useTexts("mcpServers");
  const query = useServerTools(server);
  const isOff = !useCan("integrations:write");
  const [shown, setShown] = useState<string | null>(null);
  const rights: Rights = { allowed: server.allowed_tools_json, autoApproved: server.auto_approve_tools_json ?? [] };
  const change = useChange((next: Rights) => patchServer(server.id, { allowed_tools_json: next.allowed === null ? null : [...next.allowed], auto_approve_tools_json: [...next.autoApproved] }), TOUCHED);
  const names = query.rows.filter((tool) => tool.state !== "gone").map((tool) => tool.name);
  const open = query.rows.find((tool) => tool.id === shown);
  // Until all are known, none can be left out of a list of them.
  const isBusy = isOff || change.isPending || (rights.allowed === null && query.hasNextPage);
  return (
    <Card title={t.tools} isFlush>
      <Loaded query={query} skeleton={<div className="p-4"><Skeleton lines={8} /></div>}>
        {() =>
          query.rows.length === 0 ? (
            <p className="p-4 text-dim">{server.status === "new" ? t.toolsToCome : t.noTools}</p>
          ) : (
            <>
              <div className="border-b border-line px-4 py-2">
                <Switch label={t.allowAll} hint={t.allowAllHint} disabled={isBusy} checked={rights.allowed === null} onChange={(event) => change.mutate({ ...rights, allowed: event.target.checked ? null : names })} />
              </div>
              <ul className="divide-y divide-line">
                {query.rows.map((tool) => (
                  <Row key={tool.id} tool={tool} asksPerson={server.require_approval_default} rights={rights} isOff={isBusy} onOpen={() => setShown(tool.id)} onAllow={(isOn) => change.mutate(withAllowed(rights, names, tool.name, isOn))} onAutoApprove={(isOn) => change.mutate(withAutoApproval(rights, tool.name, isOn))} />
                ))}
              </ul>
              {query.hasNextPage && (
                <div className="border-t border-line p-3">
                  <Button size="sm" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                    {t.more}
                  </Button>
                </div>
              )}
            </>
          )
        }
      </Loaded>
      {open && <ToolDialog server={server} tool={open} onClose={() => setShown(null)} />}
    </Card>
  );
}

interface RowProps {
  tool: McpTool;
  asksPerson: boolean;
  rights: Rights;
  isOff: boolean;
  onOpen: () => void;
  onAllow: (isOn: boolean) => void;
  onAutoApprove: (isOn: boolean) => void;
}

function Row({ tool, asksPerson, rights, isOff, onOpen, onAllow, onAutoApprove }: RowProps) {
  const t = useTexts("mcpServers");
  const isWaiting = tool.state === "new" || tool.state === "changed";
  const isUsable = tool.state !== "gone" && tool.state !== "invalid";
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2.5">
      <div className="min-w-0 flex-1 basis-56">
        <button type="button" className="group flex max-w-full items-center gap-1.5 text-left" onClick={onOpen}>
          <span className={`truncate font-mono text-[13px] font-medium group-hover:underline ${tool.state === "gone" ? "text-dim line-through" : ""}`}>{tool.name}</span>
          <ChevronRight size={14} aria-hidden className="shrink-0 text-dim" />
        </button>
        <p className="truncate text-xs text-dim">{tool.reason ?? (tool.accepted ?? tool.current)?.description}</p>
      </div>
      <StateBadge of={tool.state} />
      {isWaiting && (
        <Button size="sm" look="primary" onClick={onOpen}>
          {tool.state === "changed" ? t.seeChange : t.look}
        </Button>
      )}
      {isUsable && (
        <div className="flex flex-wrap gap-x-4 text-[13px]">
          <label className="flex min-h-7 items-center gap-1.5">
            <input type="checkbox" className="size-4 accent-accent" disabled={isOff} checked={tool.allowed} onChange={(event) => onAllow(event.target.checked)} aria-label={t.allowedOf(tool.name)} />
            {t.allowed}
          </label>
          {asksPerson ? (
            <label className={`flex min-h-7 items-center gap-1.5 ${tool.allowed ? "" : "text-dim"}`}>
              <input type="checkbox" className="size-4 accent-accent" disabled={isOff || !tool.allowed} checked={rights.autoApproved.includes(tool.name)} onChange={(event) => onAutoApprove(event.target.checked)} aria-label={t.autoOf(tool.name)} />
              {t.auto}
            </label>
          ) : (
            <span className="flex min-h-7 items-center text-dim">{t.noApproval}</span>
          )}
        </div>
      )}
    </li>
  );
}

/** A tool's definition, and how it differs from what was accepted; accepting takes exactly what is shown. */
function ToolDialog({ server, tool, onClose }: { server: Server; tool: McpTool; onClose: () => void }) {
  const t = useTexts("mcpServers");
  const shell = useTexts("shell");
  const isWaiting = tool.state === "new" || tool.state === "changed";
  const definition = tool.current ?? tool.accepted;
  const accept = useChange((hash: string) => data(api.POST("/api/mcp-servers/{id}/tools/{tool_id}/accept", { params: { path: { id: server.id, tool_id: tool.id }, header: { "Idempotency-Key": idempotencyKey() } }, body: { hash } })), TOUCHED, {
    onDone: () => {
      toast.done(t.accepted(tool.name));
      onClose();
    },
  });
  const hash = tool.current?.hash;
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={tool.name}
      description={tool.state === "changed" ? t.changedLead : tool.state === "new" ? t.newLead : undefined}
      size="lg"
      actions={
        isWaiting && (
          <>
            <Button onClick={onClose}>{shell.close}</Button>
            <Button look="primary" needs="integrations:write" busy={accept.isPending} off={hash ? null : t.nothingToAccept} onClick={() => hash && accept.mutate(hash)}>
              {tool.state === "changed" ? t.acceptChange : t.accept}
            </Button>
          </>
        )
      }
    >
      <div className="space-y-4">
        <Facts
          items={[
            [t.state, <StateBadge key="s" of={tool.state} />],
            tool.reason !== null && [t.why, tool.reason],
            [t.modelName, <code key="m" className="font-mono text-[13px]">{tool.model_name}</code>],
            [t.approval, !tool.allowed ? <Badge key="n">{t.notAllowed}</Badge> : tool.needs_approval ? t.byPerson : t.noApproval],
            tool.accepted_at !== null && [t.acceptedAt, <Time key="a" at={tool.accepted_at} />],
            [t.changedAt, <Time key="c" at={tool.changed_at} />],
          ]}
        />
        {tool.difference.length > 0 && (
          <section className="space-y-1">
            <h3 className="text-[13px]">{t.difference}</h3>
            <DiffLines label={t.difference} lines={tool.difference} />
          </section>
        )}
        {definition && (
          <>
            <section className="space-y-1">
              <h3 className="text-[13px]">{t.description}</h3>
              <p className="whitespace-pre-wrap">{definition.description}</p>
            </section>
            <section className="space-y-1">
              <h3 className="text-[13px]">{t.schema}</h3>
              <Code label={t.schema} value={definition.input_schema_json ?? {}} />
            </section>
          </>
        )}
      </div>
    </Dialog>
  );
}
