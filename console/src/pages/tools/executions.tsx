/** What tools did, HUM's own too: each time that one ran. */
import { Link, useNavigate } from "@tanstack/react-router";
import { History, RotateCw, X } from "lucide-react";
import { useRef, useState } from "react";
import { useAllFlows } from "@/api/flows";
import { useTexts } from "@/i18n";
import { count } from "@/lib/format";
import { Button, ButtonLink, IconButton } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { SelectField, TextField } from "@/ui/field";
import { Code } from "@/ui/json";
import { Badge, Empty, Facts, Page, Time, type Tone } from "@/ui/layout";
import { useRowKeys } from "@/ui/row-keys";
import { type Column, Table } from "@/ui/table";
import { ToolTabs } from "./head";
import { type Execution, useExecutions, useMaySeeExecutions } from "./queries";
import { type ExecutionsSearch, executionsRoute } from "./route";

type Texts = ReturnType<typeof useTexts<"tools">>;
const TONES: Record<Execution["status"], Tone> = { running: "info", ok: "good", failed: "bad" };

export function Executions() {
  const t = useTexts("tools");
  const filter = executionsRoute.useSearch();
  const isAllowed = useMaySeeExecutions();
  const query = useExecutions(filter);
  const flows = new Map(useAllFlows().data?.map((flow) => [flow.id, flow.name]));
  const [shown, setShown] = useState<Execution | null>(null);
  const around = useRef<HTMLDivElement>(null);
  const keys = useRowKeys(query.rows, query.offset, around, setShown);
  const isFiltered = Object.keys(filter).length > 0;
  return (
    <div ref={around} className="flex h-full flex-col">
      <Page title={t.executions} lead={t.executionsLead} back={{ to: "/tools", label: t.title }} actions={isAllowed && <IconButton icon={RotateCw} label={t.refresh} onClick={() => void query.refetch()} />} isFlush>
        <ToolTabs active="executions" />
        {isAllowed ? (
          <>
            <Filters key={filter.tool ?? ""} filter={filter} flows={flows} />
            <Table label={t.executions} query={query} columns={columnsOf(t, flows, setShown)} isChosen={keys.isChosen} empty={<Empty icon={History} title={isFiltered ? t.noneSo : t.noExecutions}>{!isFiltered && t.noExecutionsLead}</Empty>} />
          </>
        ) : (
          <Empty icon={History} title={t.executionsOperators} />
        )}
      </Page>
      {shown && <ExecutionDialog execution={shown} flows={flows} onClose={() => setShown(null)} />}
    </div>
  );
}

function Filters({ filter, flows }: { filter: ExecutionsSearch; flows: ReadonlyMap<string, string> }) {
  const t = useTexts("tools");
  const navigate = useNavigate();
  const set = (changes: Partial<Record<keyof ExecutionsSearch, string>>): void => {
    const next = Object.fromEntries(Object.entries({ ...filter, ...changes }).filter(([, value]) => value));
    void navigate({ to: "/tools/executions", search: next, replace: true });
  };
  const flowChoices = [{ value: "", label: t.allAgents }, ...[...flows].map(([value, label]) => ({ value, label })), ...(filter.flow_id && !flows.has(filter.flow_id) ? [{ value: filter.flow_id, label: filter.flow_id }] : [])];
  return (
    <form
      role="search"
      className="flex flex-wrap items-center gap-2 px-6 py-3 max-md:px-4"
      onSubmit={(event) => {
        event.preventDefault();
        set({ tool: String(new FormData(event.currentTarget).get("tool")).trim() });
      }}
    >
      <div className="w-52 max-md:w-full">
        <TextField isBare type="search" label={t.toolName} placeholder={t.toolName} name="tool" maxLength={200} defaultValue={filter.tool} autoComplete="off" spellCheck={false} />
      </div>
      <div className="w-36 max-md:flex-1">
        <SelectField isBare label={t.status} value={filter.status ?? ""} choices={[{ value: "", label: t.allStatuses }, ...(["ok", "failed", "running"] as const).map((each) => ({ value: each, label: t.statuses[each] }))]} onChange={(event) => set({ status: event.target.value })} />
      </div>
      {flows.size > 0 && (
        <div className="w-48 max-md:flex-1">
          <SelectField isBare label={t.agent} value={filter.flow_id ?? ""} choices={flowChoices} onChange={(event) => set({ flow_id: event.target.value })} />
        </div>
      )}
      {(["call_id", "conversation_id"] as const).map(
        (name) =>
          filter[name] && (
            <Button key={name} icon={X} onClick={() => set({ [name]: "" })}>
              {name === "call_id" ? t.oneCall : t.oneConversation}
            </Button>
          ),
      )}
      {Object.keys(filter).length > 0 && (
        <ButtonLink look="quiet" to="/tools/executions" search={{}}>
          {t.clear}
        </ButtonLink>
      )}
    </form>
  );
}

function columnsOf(t: Texts, flows: ReadonlyMap<string, string>, open: (row: Execution) => void): Column<Execution>[] {
  return [
    { key: "at", title: t.at, width: "9.5rem", cell: (row) => <Time at={row.started_at} isExact /> },
    {
      key: "name",
      title: t.tool,
      width: "minmax(8rem, 2fr)",
      cell: (row) => (
        <button type="button" className="block w-full truncate text-left font-mono text-[13px] after:absolute after:inset-0" onClick={() => open(row)}>
          {row.name}
        </button>
      ),
    },
    { key: "status", title: t.status, width: "6rem", cell: (row) => <StatusBadge of={row.status} /> },
    { key: "kind", title: t.kind, width: "7rem", isWide: true, cell: (row) => <span className="text-dim">{t.kinds[row.kind ?? "none"] ?? row.kind}</span> },
    { key: "purpose", title: t.purpose, width: "8rem", isWide: true, cell: (row) => <span className="text-dim">{t.purposes[row.purpose]}</span> },
    { key: "agent", title: t.agent, width: "minmax(7rem, 1.2fr)", isWide: true, cell: (row) => (row.flow_id ? (flows.get(row.flow_id) ?? row.flow_id) : <span className="text-dim">–</span>) },
    { key: "duration", title: t.duration, width: "6rem", isWide: true, isRight: true, cell: (row) => (row.duration_ms === null ? "–" : t.ms(count(row.duration_ms))) },
  ];
}

function StatusBadge({ of }: { of: Execution["status"] }) {
  const t = useTexts("tools");
  return (
    <Badge tone={TONES[of]} isLive={of === "running"}>
      {t.statuses[of]}
    </Badge>
  );
}

function ExecutionDialog({ execution, flows, onClose }: { execution: Execution; flows: ReadonlyMap<string, string>; onClose: () => void }) {
  const t = useTexts("tools");
  return (
    <Dialog isOpen onClose={onClose} title={execution.name} size="lg">
      <div className="space-y-4">
        <Facts
          items={[
            [t.status, <StatusBadge key="s" of={execution.status} />],
            [t.at, <Time key="a" at={execution.started_at} />],
            execution.duration_ms !== null && [t.duration, t.ms(count(execution.duration_ms))],
            [t.purpose, t.purposes[execution.purpose]],
            execution.tool_id !== null && [
              t.tool,
              <Link key="t" to="/tools/$id" params={{ id: execution.tool_id }} search={{}} className="text-accent underline">
                {execution.tool_version === null ? execution.name : `${execution.name} · ${t.versionN(execution.tool_version)}`}
              </Link>,
            ],
            execution.flow_id !== null && [
              t.agent,
              <Link key="f" to="/agents/$id" params={{ id: execution.flow_id }} className="text-accent underline">
                {flows.get(execution.flow_id) ?? execution.flow_id}
              </Link>,
            ],
            execution.call_id !== null && [
              t.where,
              <Link key="c" to="/calls/$id" params={{ id: execution.call_id }} className="text-accent underline">
                {t.openCall}
              </Link>,
            ],
            execution.conversation_id !== null && [
              t.where,
              <Link key="m" to="/inbox/$id" params={{ id: execution.conversation_id }} className="text-accent underline">
                {t.openConversation}
              </Link>,
            ],
            execution.approval_id !== null && [t.approval, t.approved],
          ]}
        />
        <section className="space-y-1">
          <h3 className="text-[13px]">{t.arguments}</h3>
          <Code label={t.arguments} value={execution.arguments} />
        </section>
        {execution.result !== null && (
          <section className="space-y-1">
            <h3 className="text-[13px]">{t.result}</h3>
            <Code label={t.result} value={execution.result} />
          </section>
        )}
      </div>
    </Dialog>
  );
}
