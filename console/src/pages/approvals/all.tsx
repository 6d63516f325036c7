/** All approvals, and one beside them with its arguments and what came of it. */
import { useNavigate } from "@tanstack/react-router";
import { ClipboardCheck } from "lucide-react";
import { useCallback, useRef } from "react";
import { useTexts } from "@/i18n";
import { Aside } from "@/ui/aside";
import { Json } from "@/ui/json";
import { Empty, Facts, Loaded, Time } from "@/ui/layout";
import { useRowKeys } from "@/ui/row-keys";
import { type Column, Table } from "@/ui/table";
import Decide from "./decide";
import { Decision, Origin, StateBadge, TimeLeft } from "./labels";
import { type Approval, useApproval, useApprovals } from "./queries";
import { APPROVAL_STATES, type ApprovalSearch, approvalsRoute } from "./route";

const ROW_PX = 52;

export function All() {
  const t = useTexts("approvals");
  const search = approvalsRoute.useSearch();
  const navigate = useNavigate();
  const query = useApprovals(search.state);
  const around = useRef<HTMLDivElement>(null);
  const searchOf = useCallback((id: string | undefined): ApprovalSearch => ({ view: "all", ...(search.state ? { state: search.state } : {}), ...(id ? { id } : {}) }), [search.state]);
  const open = useCallback((id: string | undefined): void => void navigate({ to: "/approvals", search: searchOf(id), resetScroll: false }), [navigate, searchOf]);
  const keys = useRowKeys(query.rows, query.offset, around, (row) => open(row.id), ROW_PX);
  const columns = useColumns();
  return (
    <>
      <div className="px-6 py-2.5 max-md:px-4">
        <select
          aria-label={t.state}
          value={search.state ?? ""}
          className={`h-8 rounded-control border px-2 pr-6 text-[13px] max-md:h-11 max-md:text-base ${search.state ? "border-accent bg-accent-soft" : "border-line bg-surface"}`}
          onChange={(event) => {
            const state = APPROVAL_STATES.find((each) => each === event.target.value);
            void navigate({ to: "/approvals", search: { view: "all", ...(state ? { state } : {}) } });
          }}
        >
          <option value="">{t.anyState}</option>
          {APPROVAL_STATES.map((state) => (
            <option key={state} value={state}>
              {t.states[state]}
            </option>
          ))}
        </select>
      </div>
      <div className="flex min-h-0 flex-1">
        <div ref={around} className={`flex min-h-0 min-w-0 flex-1 flex-col ${search.id ? "max-md:hidden" : ""}`}>
          <Table
            label={t.title}
            query={query}
            columns={columns}
            rowPx={ROW_PX}
            isChosen={(row) => row.id === search.id || keys.isChosen(row)}
            link={(row) => ({ to: "/approvals", search: searchOf(row.id), resetScroll: false })}
            empty={<Empty icon={ClipboardCheck} title={search.state ? t.noneInState : t.noneEver}>{search.state ? null : t.emptyLead}</Empty>}
          />
        </div>
        {search.id && <Panel key={search.id} id={search.id} onClose={() => open(undefined)} />}
      </div>
    </>
  );
}

function useColumns(): readonly Column<Approval>[] {
  const t = useTexts("approvals");
  return [
    {
      key: "what",
      title: t.what,
      width: "minmax(9rem, 2.4fr)",
      cell: (row) => (
        <>
          <span className="block truncate font-medium">{row.summary}</span>
          <code className="block truncate font-mono text-xs font-normal text-dim">{row.tool}</code>
        </>
      ),
    },
    { key: "state", title: t.state, width: "7.5rem", cell: (row) => <StateBadge state={row.state} /> },
    { key: "by", title: t.decidedBy, width: "minmax(6rem, 1fr)", isWide: true, cell: (row) => <span className="text-dim">{row.decided_by ?? "–"}</span> },
    { key: "edited", title: t.changed, width: "5.5rem", isWide: true, cell: (row) => <span className="text-dim">{row.edited ? t.yes : "–"}</span> },
    { key: "when", title: t.when, width: "8rem", isRight: true, isWide: true, cell: (row) => <Time at={row.created_at} /> },
  ];
}

function Panel({ id, onClose }: { id: string; onClose: () => void }) {
  const t = useTexts("approvals");
  const query = useApproval(id);
  return (
    <Aside title={query.data?.tool ?? t.approval} label={t.approval} badge={query.data && <StateBadge state={query.data.state} />} onClose={onClose}>
      <Loaded query={query}>{(approval) => <Whole approval={approval} onDecided={() => void query.refetch()} />}</Loaded>
    </Aside>
  );
}

function Whole({ approval, onDecided }: { approval: Approval; onDecided: () => void }) {
  const t = useTexts("approvals");
  return (
    <div className="space-y-5">
      <div>
        <p className="text-[15px] font-medium">{approval.summary}</p>
        <div className="mt-1">
          <Origin approval={approval} />
        </div>
        <p className="mt-1">
          <Decision approval={approval} />
        </p>
      </div>
      {approval.state === "pending" && (
        <div className="space-y-2">
          <TimeLeft until={approval.expires_at} />
          <Decide approval={approval} onDecided={onDecided} />
        </div>
      )}
      <Facts
        items={[
          [t.when, <Time key="w" at={approval.created_at} />],
          [t.ends, <Time key="x" at={approval.expires_at} />],
          approval.decided_at !== null && [t.decidedAt, <Time key="d" at={approval.decided_at} />],
          approval.told_at !== null && [t.toldAt, <Time key="t" at={approval.told_at} />],
        ]}
      />
      <section>
        <h3 className="mb-1.5 text-[13px]">{t.arguments}</h3>
        <Json value={approval.arguments ?? {}} label={t.argumentsOf(approval.tool)} />
      </section>
      {approval.result !== null && approval.result !== undefined && (
        <section>
          <h3 className="mb-1.5 text-[13px]">{t.result}</h3>
          <Json value={approval.result} label={t.result} />
        </section>
      )}
    </div>
  );
}
