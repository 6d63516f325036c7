import { Link, getRouteApi, useNavigate } from "@tanstack/react-router";
import { Bot, Copy, Plus, Trash2 } from "lucide-react";
import { Suspense, useCallback, useMemo, useRef, useState } from "react";
import { type ListedFlow, useFlowPages } from "@/api/flows";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { count, phone } from "@/lib/format";
import { ButtonLink, IconButton } from "@/ui/button";
import { SelectField } from "@/ui/field";
import { Empty, Page, Time } from "@/ui/layout";
import { part } from "@/ui/part";
import { useRowKeys } from "@/ui/row-keys";
import { type Column, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { useCan } from "@/api/me";
import { startOf } from "./flow";
import { type FlowUse, useDuplicate, useFlowUse } from "./queries";
import { StartBadge } from "./start-badge";

const route = getRouteApi("/shell/agents");
const ROW_PX = 52;
const DeleteFlow = part(() => import("./delete"));

/** The agents of the organization. */
export function Agents() {
  const t = useTexts("agents");
  const { start } = route.useSearch();
  const navigate = useNavigate();
  const query = useFlowPages();
  const use = useFlowUse();
  const [doomed, setDoomed] = useState<ListedFlow | null>(null);
  const canWrite = useCan("flows:write");
  const duplicate = useDuplicate((flow) => toast.done(t.duplicated(flow.name ?? ""), { label: t.open, run: () => void navigate({ to: "/agents/$id", params: { id: flow.id } }) }));
  const rows = useMemo(() => query.rows.filter((flow) => !start || startOf(flow) === start), [query.rows, start]);
  const open = useCallback((flow: ListedFlow) => void navigate({ to: "/agents/$id", params: { id: flow.id } }), [navigate]);
  const around = useRef<HTMLDivElement>(null);
  const keys = useRowKeys(rows, start ? 0 : query.offset, around, open, ROW_PX);
  useCommands(
    useMemo<Command[]>(() => (canWrite ? [{ id: "agents new", label: t.newAgent, keys: "n", run: () => void navigate({ to: "/agents/new" }) }] : []), [canWrite, t, navigate]),
  );
  const columns = columnsOf(t, use, (flow) => (
    <span className="flex justify-end">
      <IconButton size="sm" icon={Copy} label={t.duplicateOf(flow.name ?? "")} needs="flows:write" onClick={() => duplicate.mutate(flow.id)} />
      <IconButton size="sm" icon={Trash2} label={t.deleteOf(flow.name ?? "")} needs="flows:write" onClick={() => setDoomed(flow)} />
    </span>
  ));
  return (
    <div ref={around} className="flex h-full flex-col">
      <Page
        isFlush
        title={t.title}
        lead={<span className="max-md:hidden">{t.lead}</span>}
        actions={
          <>
            <SelectField
              label={t.startedBy}
              isBare
              value={start ?? ""}
              choices={[{ value: "", label: t.all }, ...(["call", "message", "event"] as const).map((each) => ({ value: each, label: t.starts[each] }))]}
              onChange={(event) => void navigate({ to: "/agents", search: event.target.value ? { start: event.target.value as "call" } : {}, replace: true })}
            />
            {canWrite && (
              <ButtonLink look="primary" icon={Plus} to="/agents/new">
                {t.newAgent}
              </ButtonLink>
            )}
          </>
        }
      >
        <Table label={t.title} query={{ ...query, rows, ...(start ? { offset: 0, hasPreviousPage: false } : {}) }} columns={columns} link={(flow) => ({ to: "/agents/$id", params: { id: flow.id } })} isChosen={keys.isChosen} rowPx={ROW_PX} empty={<None isFiltered={query.rows.length > 0} canWrite={canWrite} />} />
      </Page>
      {doomed && (
        <Suspense>
          <DeleteFlow flow={doomed} onClose={() => setDoomed(null)} />
        </Suspense>
      )}
    </div>
  );
}

type Texts = ReturnType<typeof useTexts<"agents">>;

function columnsOf(t: Texts, use: FlowUse, actions: (flow: ListedFlow) => React.ReactNode): Column<ListedFlow>[] {
  return [
    {
      key: "name",
      title: t.name,
      width: "minmax(10rem, 2fr)",
      cell: (flow) => flow.name,
    },
    {
      key: "start",
      title: t.startedBy,
      width: "9rem",
      isWide: true,
      cell: (flow) => <StartBadge flow={flow} />,
    },
    {
      key: "numbers",
      title: t.numbers,
      width: "minmax(9rem, 1fr)",
      isWide: true,
      cell: (flow) => <Numbers list={use.numbers.get(flow.id) ?? []} />,
    },
    ...(use.calls ? [{ key: "calls", title: t.calls30, width: "6.5rem", isRight: true, isWide: true, cell: (flow: ListedFlow) => count(use.calls?.get(flow.id) ?? 0) }] : []),
    { key: "version", title: t.version, width: "5rem", isRight: true, isWide: true, cell: (flow) => flow.version },
    { key: "edited", title: t.edited, width: "6.5rem", isRight: true, cell: (flow) => <Time at={flow.updated_at} /> },
    { key: "actions", title: "", width: "4.5rem", cell: (flow) => <div className="relative z-1 -my-1">{actions(flow)}</div> },
  ];
}

function Numbers({ list }: { list: string[] }) {
  const t = useTexts("agents");
  if (list.length === 0) return <span className="text-dim">–</span>;
  return (
    <span title={list.map(phone).join(", ")} className="tabular">
      {phone(list[0] ?? "")}
      {list.length > 1 && <span className="ml-1.5 text-dim">{t.more(list.length - 1)}</span>}
    </span>
  );
}

function None({ isFiltered, canWrite }: { isFiltered: boolean; canWrite: boolean }) {
  const t = useTexts("agents");
  if (isFiltered)
    return (
      <Empty icon={Bot} title={t.noneOfKind}>
        <Link to="/agents" className="text-accent underline">
          {t.showAll}
        </Link>
      </Empty>
    );
  return (
    <Empty
      icon={Bot}
      title={t.none}
      action={
        canWrite && (
          <>
            <ButtonLink look="primary" to="/agents/new" search={{ how: "describe" }}>
              {t.describeIt}
            </ButtonLink>
            <ButtonLink to="/agents/new" search={{ how: "blank" }}>
              {t.startBlank}
            </ButtonLink>
          </>
        )
      }
    >
      {t.noneLead}
    </Empty>
  );
}

