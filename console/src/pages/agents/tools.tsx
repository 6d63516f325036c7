import { Link } from "@tanstack/react-router";
import { BookOpen, CalendarCheck, Check, Minus, Plus, ShieldCheck, Trash2 } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data, idempotencyKey } from "@/api/client";
import { useCan } from "@/api/me";
import { useTexts } from "@/i18n";
import { Button, IconButton } from "@/ui/button";
import { SelectField, Switch } from "@/ui/field";
import { Badge, Card, Failure, Loaded, Skeleton, type Tone } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { builtinsOf, listing, switched } from "./builtins";
import { useEditing, useField } from "./edit/editing";
import { startOf } from "./flow";
import { useBookableServices, useConnectors, useFlowMcp, useFlowTools, useHttpTools, useKnowledge, useMcpServers } from "./queries";

type FlowTool = Schemas["FlowTool"];
type Mode = FlowTool["mode"];

/** What an agent can do besides talking. */
export default function Tools() {
  const canSee = useCan("integrations:read");
  const canRead = useCan("knowledge:read");
  const canBook = useCan("bookings:read");
  return (
    <div className="grid items-start gap-5 lg:grid-cols-2">
      <div className="space-y-5">
        <HttpTools />
        {canSee && <McpServers />}
      </div>
      <div className="space-y-5">
        {canRead && <Knowledge />}
        {canBook && <Booking />}
        <OnlyThese />
        <Builtins />
      </div>
    </div>
  );
}

function HttpTools() {
  const t = useTexts("agents");
  const { base, draft } = useEditing();
  const bound = useFlowTools(base.id);
  const tools = useHttpTools();
  const connectors = useConnectors();
  const [chosen, setChosen] = useState("");
  const add = useChange(
    (id: string) =>
      data(
        api.POST("/api/flows/{flow_id}/tools", {
          params: { path: { flow_id: base.id }, header: { "Idempotency-Key": idempotencyKey() } },
          body: id.startsWith("crm:") ? { kind: "crm", mode: "pre_call", connector_id: id.slice(4) } : { tool_id: id },
        }),
      ),
    [["flows", base.id, "tools"]],
    { onDone: () => setChosen("") },
  );
  const taken = new Set((bound.data ?? []).flatMap((each) => [each.tool_id, each.connector_id && `crm:${each.connector_id}`]));
  const choices = [
    ...(tools.data ?? []).map((each) => ({ value: each.id, label: each.name })),
    ...(startOf(draft) === "call" ? (connectors.data ?? []).map((each) => ({ value: `crm:${each.id}`, label: t.tools.crm(each.name) })) : []),
  ].filter((each) => !taken.has(each.value));
  const nameOf = (each: FlowTool): string => each.name ?? tools.data?.find((one) => one.id === each.tool_id)?.name ?? connectors.data?.find((one) => one.id === each.connector_id)?.name ?? each.tool_id ?? each.connector_id ?? "";
  return (
    <Card title={t.tools.http} isFlush>
      <div className="px-4 pt-3 text-dim">{t.tools.httpLead}</div>
      <Loaded query={bound} skeleton={<div className="p-4"><Skeleton /></div>}>
        {(list) => (
          <ul className="divide-y divide-line">
            {list.length === 0 && <li className="px-4 py-3 text-dim">{t.tools.noHttp}</li>}
            {list.map((each) => (
              <li key={each.id}>
                <Binding tool={each} name={nameOf(each)} description={each.description ?? tools.data?.find((one) => one.id === each.tool_id)?.description ?? ""} />
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      <div className="flex items-center gap-2 border-t border-line p-3">
        <div className="min-w-0 flex-1">
          <SelectField label={t.tools.choose} isBare value={chosen} choices={[{ value: "", label: choices.length > 0 ? t.tools.choose : t.tools.noneLeft, isOff: true }, ...choices]} onChange={(event) => setChosen(event.target.value)} />
        </div>
        <Button icon={Plus} needs="integrations:write" busy={add.isPending} off={chosen ? null : t.tools.choose} onClick={() => add.mutate(chosen)}>
          {t.tools.bind}
        </Button>
      </div>
      <p className="border-t border-line px-4 py-2 text-xs text-dim">
        <Link to={"/tools" as "/"} className="text-accent underline">
          {t.tools.manage}
        </Link>
      </p>
    </Card>
  );
}

function Binding({ tool, name, description }: { tool: FlowTool; name: string; description: string }) {
  const t = useTexts("agents");
  const path = { flow_id: tool.flow_id, id: tool.id };
  const touches = [["flows", tool.flow_id, "tools"]];
  const change = useChange((body: Schemas["FlowToolPatch"]) => data(api.PATCH("/api/flows/{flow_id}/tools/{id}", { params: { path }, body })), touches);
  const again = useChange(() => data(api.POST("/api/flows/{flow_id}/tools", { params: { path: { flow_id: tool.flow_id } }, body: againOf(tool) })), touches);
  const remove = useChange(() => api.DELETE("/api/flows/{flow_id}/tools/{id}", { params: { path } }), touches, { onDone: () => toast.done(t.tools.unbound(name), { label: t.tools.undo, run: () => again.mutate(undefined) }) });
  const canWrite = useCan("integrations:write");
  const isOn = change.isPending ? (change.variables.enabled ?? tool.enabled) : tool.enabled;
  return (
    <div className="flex flex-wrap items-center gap-3 px-4 py-2.5">
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-center gap-2">
          <code className="truncate font-medium">{name}</code>
          {tool.kind === "crm" && <Badge tone="accent">CRM</Badge>}
          {tool.requires_approval && <Badge tone="warn">{t.tools.approval}</Badge>}
          {tool.version !== null && <Badge>{t.versionN(tool.version)}</Badge>}
        </p>
        <p className="line-clamp-2 text-[13px] text-dim">{description}</p>
      </div>
      <Switch label={t.tools.on} checked={isOn} disabled={!canWrite} onChange={(event) => change.mutate({ enabled: event.target.checked })} />
      {tool.kind === "http" && (
        <SelectField label={t.tools.when} isBare disabled={!canWrite} value={tool.mode} choices={(["in_call", "pre_call"] as const).map((value) => ({ value, label: t.tools.modes[value] ?? value }))} onChange={(event) => change.mutate({ mode: event.target.value as Mode })} />
      )}
      <IconButton size="sm" icon={ShieldCheck} pressed={tool.requires_approval === true} label={t.tools.needApproval} needs="integrations:write" onClick={() => change.mutate({ requires_approval: tool.requires_approval ? null : true })} />
      <IconButton size="sm" icon={Trash2} label={t.tools.removeOf(name)} needs="integrations:write" onClick={() => remove.mutate(undefined)} />
    </div>
  );
}

/** A binding as it was, to make it once more. */
function againOf(tool: FlowTool): Schemas["FlowToolInput"] {
  const { id: _, flow_id: __, created_at: ___, updated_at: ____, ...rest } = tool;
  return rest;
}

const MCP_TONES: Record<string, Tone> = { ok: "good", failing: "bad", new: "info" };

function McpServers() {
  const t = useTexts("agents");
  const { base } = useEditing();
  const bound = useFlowMcp(base.id);
  const all = useMcpServers();
  const [chosen, setChosen] = useState("");
  const touches = [["flows", base.id, "mcp"]];
  const add = useChange((id: string) => data(api.POST("/api/flows/{flow_id}/mcp-servers", { params: { path: { flow_id: base.id }, header: { "Idempotency-Key": idempotencyKey() } }, body: { server_id: id } })), touches, { onDone: () => setChosen("") });
  const remove = useChange((id: string) => api.DELETE("/api/flows/{flow_id}/mcp-servers/{server_id}", { params: { path: { flow_id: base.id, server_id: id } } }), touches, {
    onDone: (_, id) => toast.done(t.tools.unbound(all.data?.find((each) => each.id === id)?.name ?? ""), { label: t.tools.undo, run: () => add.mutate(id) }),
  });
  const left = (all.data ?? []).filter((each) => !(bound.data ?? []).some((one) => one.id === each.id));
  return (
    <Card title={t.tools.mcp} isFlush>
      <div className="px-4 pt-3 text-dim">{t.tools.mcpLead}</div>
      <Loaded query={bound} skeleton={<div className="p-4"><Skeleton /></div>}>
        {(list) => (
          <ul className="divide-y divide-line">
            {list.length === 0 && <li className="px-4 py-3 text-dim">{t.tools.noMcp}</li>}
            {list.map((each) => (
              <li key={each.id} className="flex items-center gap-3 px-4 py-2.5">
                <div className="min-w-0 flex-1">
                  <p className="flex flex-wrap items-center gap-2 font-medium">
                    {each.name} <Badge tone={MCP_TONES[each.status] ?? "plain"}>{t.tools.mcpStatus[each.status] ?? each.status}</Badge>
                    {!each.enabled && <Badge>{t.tools.off}</Badge>}
                  </p>
                  <p className="text-[13px] text-dim">{t.tools.toolCount(each.tool_count, each.waiting_count)}</p>
                </div>
                <Button size="sm" look="quiet" icon={Trash2} needs="integrations:write" onClick={() => remove.mutate(each.id)}>
                  {t.tools.unbind}
                </Button>
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      <div className="flex items-center gap-2 border-t border-line p-3">
        <div className="min-w-0 flex-1">
          <SelectField label={t.tools.chooseMcp} isBare value={chosen} choices={[{ value: "", label: left.length > 0 ? t.tools.chooseMcp : t.tools.noneLeft, isOff: true }, ...left.map((each) => ({ value: each.id, label: each.name }))]} onChange={(event) => setChosen(event.target.value)} />
        </div>
        <Button icon={Plus} needs="integrations:write" busy={add.isPending} off={chosen ? null : t.tools.chooseMcp} onClick={() => add.mutate(chosen)}>
          {t.tools.bind}
        </Button>
      </div>
    </Card>
  );
}

function Knowledge() {
  const t = useTexts("agents");
  const query = useKnowledge();
  const [ids, setIds] = useField("knowledge_ids");
  const canWrite = useCan("flows:write");
  return (
    <Card title={t.tools.knowledge} actions={<Badge>{t.tools.withSave}</Badge>}>
      <p className="mb-3 text-dim">{t.tools.knowledgeLead}</p>
      <Loaded query={query}>
        {(documents) =>
          documents.length === 0 ? (
            <p className="text-dim">
              {t.tools.noKnowledge}{" "}
              <Link to={"/knowledge" as "/"} className="text-accent underline">
                {t.tools.addKnowledge}
              </Link>
            </p>
          ) : (
            <ul className="max-h-80 space-y-0.5 overflow-auto">
              {documents.map((each) => (
                <li key={each.id}>
                  <label className="flex items-center gap-2.5 rounded-control px-2 py-1.5 hover:bg-hover">
                    <input type="checkbox" className="size-4 accent-(--color-accent)" disabled={!canWrite || (each.status === "failed" && !ids.includes(each.id))} checked={ids.includes(each.id)} onChange={(event) => setIds(event.target.checked ? [...ids, each.id] : ids.filter((one) => one !== each.id))} />
                    <BookOpen size={14} aria-hidden className="text-dim" />
                    <span className="min-w-0 flex-1 truncate">{each.name}</span>
                    {each.status === "failed" ? <Badge tone="bad">{t.tools.failed}</Badge> : <span className="text-xs text-dim">{each.status === "pending" ? t.tools.pending : t.tools.passages(each.passages)}</span>}
                  </label>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      {query.error && <Failure error={query.error} />}
    </Card>
  );
}

/** The services that it may book. */
function Booking() {
  const t = useTexts("agents");
  const query = useBookableServices();
  const [ids, setIds] = useField("booking_service_ids");
  const canWrite = useCan("flows:write");
  return (
    <Card title={t.tools.booking} actions={<Badge>{t.tools.withSave}</Badge>}>
      <p className="mb-3 text-dim">{t.tools.bookingLead}</p>
      <Loaded query={query}>
        {(services) =>
          services.length === 0 ? (
            <p className="text-dim">{t.tools.noServices}</p>
          ) : (
            <ul className="max-h-80 space-y-0.5 overflow-auto">
              {services.map((each) => (
                <li key={each.id}>
                  <label className="flex items-center gap-2.5 rounded-control px-2 py-1.5 hover:bg-hover">
                    <input type="checkbox" className="size-4 accent-(--color-accent)" disabled={!canWrite || (!each.active && !ids.includes(each.id))} checked={ids.includes(each.id)} onChange={(event) => setIds(event.target.checked ? [...ids, each.id] : ids.filter((one) => one !== each.id))} />
                    <CalendarCheck size={14} aria-hidden className="text-dim" />
                    <span className="min-w-0 flex-1 truncate">{each.name}</span>
                    <span className="text-xs text-dim">{t.tools.minutes(each.duration_minutes ?? 0)}</span>
                  </label>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      {query.error && <Failure error={query.error} />}
    </Card>
  );
}

/** `tools_json`: which of the bound tools it may use. */
function OnlyThese() {
  const t = useTexts("agents");
  const form = useTexts("agentForm");
  const { base } = useEditing();
  const [value, setValue] = useField("tools_json");
  const bound = useFlowTools(base.id).data ?? [];
  const tools = useHttpTools().data ?? [];
  const canWrite = useCan("flows:write");
  const listed = (Array.isArray(value) ? value : []).filter((each) => each.enabled !== false);
  const allowed = listed.map((each) => each.name);
  // Entries that only switch tools off list none; an empty list allows none.
  const isListing = value !== null && (listed.length > 0 || value.length === 0);
  const names = [...new Set([...bound.flatMap((each) => each.name ?? tools.find((one) => one.id === each.tool_id)?.name ?? []), ...allowed])];
  if (names.length === 0 && !isListing) return null;
  return (
    <Card title={form.fields.tools_json.label} actions={<Badge>{t.tools.withSave}</Badge>}>
      <Switch label={form.fields.tools_json.label} hint={form.fields.tools_json.hint} checked={isListing} disabled={!canWrite} onChange={(event) => setValue(listing(value, event.target.checked ? names : null))} />
      {isListing && (
        <ul className="mt-2">
          {names.map((name) => (
            <li key={name}>
              <label className="flex items-center gap-2.5 rounded-control px-2 py-1.5 hover:bg-hover">
                <input type="checkbox" className="size-4 accent-(--color-accent)" disabled={!canWrite} checked={allowed.includes(name)} onChange={(event) => setValue(listing(value, event.target.checked ? [...allowed, name] : allowed.filter((each) => each !== name)))} />
                <code>{name}</code>
              </label>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Builtins() {
  const t = useTexts("agents");
  const { draft } = useEditing();
  const [value, setValue] = useField("tools_json");
  const canWrite = useCan("flows:write");
  return (
    <Card title={t.tools.builtins} actions={<Badge>{t.tools.withSave}</Badge>}>
      <p className="mb-3 text-dim">{t.tools.builtinsLead}</p>
      <ul className="space-y-1.5">
        {builtinsOf(draft).map(({ name, isOn, isOff }) => (
          <li key={name} className="flex items-start gap-2.5">
            {isOn ? <Check size={15} aria-label={t.tools.has} className="mt-0.5 shrink-0 text-good" /> : <Minus size={15} aria-label={t.tools.hasNot} className="mt-0.5 shrink-0 text-dim" />}
            <span className="min-w-0 flex-1">
              <code className={isOn ? "font-medium" : "text-dim"}>{name}</code>
              <span className="block text-xs text-dim">
                {t.builtins[name]} {isOff && t.tools.isOff}
              </span>
            </span>
            <input type="checkbox" className="mt-0.5 size-4 shrink-0 accent-(--color-accent)" aria-label={t.tools.allowed(name)} disabled={!canWrite} checked={!isOff} onChange={(event) => setValue(switched(value, name, event.target.checked))} />
          </li>
        ))}
      </ul>
    </Card>
  );
}
