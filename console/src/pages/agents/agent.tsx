import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Copy, Sparkles, Trash2 } from "lucide-react";
import { Suspense, useMemo, useState } from "react";
import { type Command, useCommands } from "@/app/commands";
import { can, useMe } from "@/api/me";
import { useFlow } from "@/api/flows";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { Button, IconButton } from "@/ui/button";
import { Badge, Loaded, Page, Skeleton, Time } from "@/ui/layout";
import { part } from "@/ui/part";
import { Tabs } from "@/ui/tabs";
import { toast } from "@/ui/toast";
import { EditingProvider, useEditing } from "./edit/editing";
import { LeaveGuard, Notices, SaveBar } from "./edit/save-bar";
import { type Flow, startOf } from "./flow";
import { useDuplicate, useFlowUse } from "./queries";
import { AGENT_TABS, type AgentTab } from "./route";
import { StartBadge } from "./start-badge";

const route = getRouteApi("/shell/agents/$id");
const BODIES: Record<AgentTab, React.LazyExoticComponent<() => React.ReactNode>> = {
  edit: part(() => import("./edit/edit")),
  try: part(() => import("./try/try")),
  versions: part(() => import("./versions")),
  tools: part(() => import("./tools")),
  metrics: part(() => import("./metrics")),
  runs: part(() => import("./runs")),
};
const DeleteFlow = part(() => import("./delete"));
const ConflictDialog = part(() => import("./edit/conflict"));
const Redescribe = part(() => import("./describe/redescribe"));

/** One agent, by tabs. */
export function Agent() {
  const { id } = route.useParams();
  const query = useFlow(id);
  return (
    <Loaded
      query={query}
      skeleton={
        <div className="space-y-6 p-6">
          <Skeleton lines={1} height="h-7" />
          <Skeleton lines={10} />
        </div>
      }
    >
      {(flow) => (
        <EditingProvider key={flow.id} flow={flow}>
          <AgentPage flow={flow} />
        </EditingProvider>
      )}
    </Loaded>
  );
}

function AgentPage({ flow }: { flow: Flow }) {
  const t = useTexts("agents");
  const navigate = useNavigate();
  const tab = route.useSearch({ select: (search) => search.tab ?? "edit" });
  const [open, setOpen] = useState<"delete" | "describe" | null>(null);
  const { isDirty, save, conflict } = useEditing();
  const me = useMe();
  const canWrite = can(me, "flows:write");
  const duplicate = useDuplicate((copy) => {
    toast.done(t.duplicated(copy.name ?? ""), { label: t.open, run: () => void navigate({ to: "/agents/$id", params: { id: copy.id } }) });
  });
  useCommands(
    useMemo<Command[]>(
      () => [
        ...(isDirty && canWrite ? [{ id: "agent save", label: t.saveAgent, keys: "mod+s", run: save }] : []),
        ...AGENT_TABS.map((each, at) => ({ id: `agent ${each}`, label: t.tabs[each], group: t.title, keys: String(at + 1), run: () => void navigate({ to: "/agents/$id", params: { id: flow.id }, search: { tab: each } }) })),
      ],
      [isDirty, canWrite, save, t, navigate, flow.id],
    ),
  );
  const tabs = AGENT_TABS.filter((each) => (each !== "runs" || startOf(flow) === "event") && (each !== "metrics" || (startOf(flow) === "call" && can(me, "analytics:read"))));
  const Body = BODIES[tabs.includes(tab) ? tab : "edit"];
  return (
    <Page
      isFlush
      title={flow.name ?? ""}
      back={{ to: "/agents", label: t.title }}
      lead={<Headline flow={flow} />}
      actions={
        <>
          <Button icon={Sparkles} needs="flows:write" onClick={() => setOpen("describe")}>
            {t.redescribe}
          </Button>
          <IconButton icon={Copy} label={t.duplicate} needs="flows:write" onClick={() => duplicate.mutate(flow.id)} />
          <IconButton icon={Trash2} label={t.delete} needs="flows:write" onClick={() => setOpen("delete")} />
        </>
      }
    >
      <Tabs label={t.partsOf(flow.name ?? "")} tabs={tabs.map((each) => ({ label: t.tabs[each], isActive: each === tab, link: { to: "/agents/$id", params: { id: flow.id }, search: each === "edit" ? {} : { tab: each } } }))} />
      <Notices />
      <div className="flex min-h-0 flex-1 flex-col px-6 py-5 max-md:px-4">
        <Suspense fallback={<Skeleton lines={10} />}>
          <Body />
        </Suspense>
      </div>
      <SaveBar />
      <LeaveGuard />
      {conflict && (
        <Suspense>
          <ConflictDialog />
        </Suspense>
      )}
      {open === "delete" && (
        <Suspense>
          <DeleteFlow flow={flow} onClose={() => setOpen(null)} onDone={() => void navigate({ to: "/agents", ignoreBlocker: true })} />
        </Suspense>
      )}
      {open === "describe" && (
        <Suspense>
          <Redescribe onClose={() => setOpen(null)} />
        </Suspense>
      )}
    </Page>
  );
}

/** What it is, at a glance. */
function Headline({ flow }: { flow: Flow }) {
  const t = useTexts("agents");
  const numbers = useFlowUse().numbers.get(flow.id) ?? [];
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1 text-[13px]">
      <StartBadge flow={flow} />
      <Badge>{t.versionN(flow.version)}</Badge>
      {numbers.length > 0 && <span className="tabular">{numbers.map(phone).join(", ")}</span>}
      {numbers.length === 0 && startOf(flow) !== "event" && <span>{t.noNumber}</span>}
      <span>
        {t.edited} <Time at={flow.updated_at} />
      </span>
    </div>
  );
}
