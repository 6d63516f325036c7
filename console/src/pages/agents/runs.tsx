import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Zap } from "lucide-react";
import { type Schemas, api, data } from "@/api/client";
import { useList, useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { count } from "@/lib/format";
import { Dialog } from "@/ui/dialog";
import { SelectField } from "@/ui/field";
import { Badge, Empty, Facts, Loaded, Time, type Tone } from "@/ui/layout";
import { type Column, Table } from "@/ui/table";
import type { AgentSearch } from "./route";
import { ToolLine } from "./tool-line";

const route = getRouteApi("/shell/agents/$id");
type Run = Schemas["EventRun"];
type Status = Run["status"];
const STATUSES: readonly Status[] = ["waiting", "running", "waiting_for_approval", "completed", "failed", "skipped"];
const TONES: Record<Status, Tone> = { waiting: "info", running: "info", waiting_for_approval: "warn", completed: "good", failed: "bad", skipped: "plain" };

/** What events have started. */
export default function Runs() {
  const t = useTexts("agents");
  const { id } = route.useParams();
  const { status: wished, run } = route.useSearch();
  const status = STATUSES.find((each) => each === wished);
  const navigate = useNavigate();
  const go = (search: AgentSearch): void => void navigate({ to: "/agents/$id", params: { id }, search: { tab: "runs", ...search }, replace: true });
  const query = useList(
    ["flows", id, "runs", status ?? ""],
    (cursor, signal) => data(api.GET("/api/flows/{flow_id}/runs", { params: { path: { flow_id: id }, query: { limit: 50, ...(status ? { status } : {}), ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.runs,
  );
  const columns = columnsOf(t);
  return (
    <div className="flex min-h-96 flex-1 flex-col gap-3">
      <div className="w-44">
        <SelectField
          label={t.runs.status}
          isBare
          value={status ?? ""}
          choices={[{ value: "", label: t.all }, ...STATUSES.map((each) => ({ value: each, label: t.runs.statuses[each] ?? each }))]}
          onChange={(event) => go(event.target.value ? { status: event.target.value as Status } : {})}
        />
      </div>
      <div className="-mx-6 -mb-5 flex min-h-0 flex-1 flex-col max-md:-mx-4">
        <Table
          label={t.tabs.runs}
          query={query}
          columns={columns}
          link={(row) => ({ to: "/agents/$id", params: { id }, search: { tab: "runs" as const, ...(status ? { status } : {}), run: row.id }, replace: true })}
          empty={
            <Empty icon={Zap} title={t.runs.none}>
              {t.runs.noneLead}
            </Empty>
          }
        />
      </div>
      {run && <RunDetail flowId={id} runId={run} onClose={() => go(status ? { status } : {})} />}
    </div>
  );
}

function columnsOf(t: ReturnType<typeof useTexts<"agents">>): Column<Run>[] {
  return [
    { key: "event", title: t.runs.event, width: "minmax(9rem, 1.2fr)", cell: (row) => row.event_type },
    { key: "status", title: t.runs.status, width: "8rem", cell: (row) => <RunStatus run={row} /> },
    { key: "result", title: t.runs.result, width: "minmax(10rem, 2fr)", isWide: true, cell: (row) => row.result ?? (row.reason ? (t.runs.reasons[row.reason] ?? row.reason) : "–") },
    { key: "tokens", title: t.runs.tokens, width: "6rem", isWide: true, isRight: true, cell: (row) => (row.input_tokens === null ? "–" : count(row.input_tokens + (row.output_tokens ?? 0), true)) },
    { key: "at", title: t.runs.at, width: "9.5rem", isRight: true, cell: (row) => <Time at={row.created_at} isExact /> },
  ];
}

function RunStatus({ run }: { run: Run }) {
  const t = useTexts("agents");
  return (
    <Badge tone={TONES[run.status]} isLive={run.status === "running"}>
      {t.runs.statuses[run.status] ?? run.status}
    </Badge>
  );
}

function RunDetail({ flowId, runId, onClose }: { flowId: string; runId: string; onClose: () => void }) {
  const t = useTexts("agents");
  const query = useThing(["flows", flowId, "runs", "one", runId], (signal) => data(api.GET("/api/flows/{flow_id}/runs/{id}", { params: { path: { flow_id: flowId, id: runId } }, signal })));
  return (
    <Dialog isOpen size="md" onClose={onClose} title={query.data?.event_type ?? t.runs.run}>
      <Loaded query={query}>
        {(run) => (
          <div className="space-y-4">
            <Facts
              items={[
                [t.runs.status, <RunStatus key="status" run={run} />],
                run.reason ? [t.runs.reason, t.runs.reasons[run.reason] ?? run.reason] : null,
                [t.runs.at, <Time key="at" at={run.created_at} />],
                [t.runs.finished, <Time key="finished" at={run.finished_at} />],
                [t.version, run.flow_version],
                [t.runs.attempts, run.attempts],
                [t.runs.depth, run.depth],
                run.input_tokens === null ? null : [t.runs.tokens, `${count(run.input_tokens)} + ${count(run.output_tokens ?? 0)}`],
              ]}
            />
            {run.result && <p className="rounded-control bg-sunken px-3 py-2 whitespace-pre-wrap">{run.result}</p>}
            {run.outcome !== null && run.outcome !== undefined && <pre className="overflow-auto rounded-control bg-sunken px-3 py-2 text-xs">{JSON.stringify(run.outcome, null, 2)}</pre>}
            <ul className="space-y-2">
              {run.tool_activity.map((each) => (
                <li key={each.id}>
                  <ToolLine name={each.name} input={JSON.stringify(each.arguments)} output={each.result === null ? "" : JSON.stringify(each.result)} note={each.status} tone={each.status === "ok" ? "good" : each.status === "running" ? "info" : "bad"} durationMs={each.duration_ms} />
                </li>
              ))}
            </ul>
          </div>
        )}
      </Loaded>
    </Dialog>
  );
}
