/** What a trigger received, and one delivery beside it: its body, and the runs that it started. */
import { Link, useNavigate } from "@tanstack/react-router";
import { Inbox } from "lucide-react";
import { useCallback, useRef, useState } from "react";
import { useFlowName } from "@/api/flows";
import { useTexts } from "@/i18n";
import { bytes, count } from "@/lib/format";
import { Aside } from "@/ui/aside";
import { Button } from "@/ui/button";
import { useHeld } from "@/ui/held";
import { JsonText } from "@/ui/json";
import { Empty, Facts, Failure, Loaded, Skeleton, Time } from "@/ui/layout";
import { useRowKeys } from "@/ui/row-keys";
import { type Column, Table } from "@/ui/table";
import { type Delivery, useBody, useDeliveries, useFresh } from "./queries";
import { triggerRoute } from "./route";

export function Deliveries({ id }: { id: string }) {
  const t = useTexts("triggers");
  const { delivery: chosen } = triggerRoute.useSearch();
  const navigate = useNavigate();
  const query = useDeliveries(id);
  useFresh(id);
  const around = useRef<HTMLDivElement>(null);
  const [isOver, setOver] = useState(false);
  const { rows, waiting, release } = useHeld(query.rows, isOver, id);
  const open = useCallback((delivery: string | undefined): void => void navigate({ to: "/triggers/$id", params: { id }, search: delivery ? { delivery } : {}, resetScroll: false }), [navigate, id]);
  const keys = useRowKeys(rows, query.offset, around, (row) => open(row.id));
  const columns = useColumns();
  const found = rows.find((each) => each.id === chosen);
  return (
    <>
      {waiting > 0 && (
        <div className="px-6 py-2 max-md:px-4">
          <Button size="sm" onClick={release}>
            {t.newOnes(waiting)}
          </Button>
        </div>
      )}
      <div className="flex min-h-0 flex-1">
        <div ref={around} onPointerEnter={() => setOver(true)} onPointerLeave={() => setOver(false)} className={`flex min-h-0 min-w-0 flex-1 flex-col ${chosen ? "max-md:hidden" : ""}`}>
          <Table
            label={t.received}
            query={{ ...query, rows }}
            columns={columns}
            isChosen={(row) => row.id === chosen || keys.isChosen(row)}
            link={(row) => ({ to: "/triggers/$id", params: { id }, search: { delivery: row.id }, resetScroll: false })}
            empty={
              <Empty icon={Inbox} title={t.nothingReceived}>
                {t.nothingReceivedLead}
              </Empty>
            }
          />
        </div>
        {chosen && (
          <Aside key={chosen} title={<span className="font-mono text-[13px]">{found?.event ?? chosen}</span>} label={t.delivery} onClose={() => open(undefined)}>
            {found ? <Received triggerId={id} delivery={found} /> : query.isPending ? <Skeleton lines={6} /> : <p className="text-dim">{t.notInList}</p>}
          </Aside>
        )}
      </div>
    </>
  );
}

function useColumns(): readonly Column<Delivery>[] {
  const t = useTexts("triggers");
  return [
    { key: "key", title: t.key, width: "minmax(8rem, 1.6fr)", cell: (row) => <span className="font-mono text-[13px]">{row.key ?? row.id}</span> },
    { key: "size", title: t.size, width: "6rem", isWide: true, isRight: true, cell: (row) => bytes(row.body_bytes) },
    { key: "repeats", title: t.repeats, width: "6rem", isWide: true, isRight: true, cell: (row) => <span className={row.repeats_that_differ > 0 ? "text-warn" : ""}>{count(row.repeats)}</span> },
    { key: "runs", title: t.runs, width: "5rem", isRight: true, cell: (row) => count(row.runs.length) },
    { key: "when", title: t.when, width: "9.5rem", isRight: true, cell: (row) => <Time at={row.created_at} isExact /> },
  ];
}

function Received({ triggerId, delivery }: { triggerId: string; delivery: Delivery }) {
  const t = useTexts("triggers");
  const flowName = useFlowName();
  return (
    <div className="space-y-5">
      <Facts
        items={[
          [t.when, <Time key="w" at={delivery.created_at} />],
          [t.key, delivery.key ? <code key="k" className="font-mono text-xs break-all">{delivery.key}</code> : t.noKey],
          delivery.key_source !== null && [t.keySource, t.keySources[delivery.key_source] ?? delivery.key_source],
          [t.mediaType, delivery.media_type],
          [t.size, bytes(delivery.body_bytes)],
          delivery.repeats > 0 && [t.repeats, t.repeatsOf(delivery.repeats, delivery.repeats_that_differ)],
          delivery.repeated_at !== null && [t.repeatedAt, <Time key="r" at={delivery.repeated_at} />],
          [t.eventId, <code key="e" className="font-mono text-xs break-all">{delivery.event_id}</code>],
        ]}
      />
      {delivery.repeats_that_differ > 0 && <p className="rounded-control bg-warn-soft px-3 py-2 text-warn">{t.differs}</p>}
      <section>
        <h3 className="mb-1.5 text-[13px]">{t.runs}</h3>
        {delivery.runs.length === 0 ? (
          <p className="text-dim">{t.noRuns}</p>
        ) : (
          <ul className="space-y-1">
            {delivery.runs.map((run) => (
              <li key={run.id}>
                <Link to="/agents/$id" params={{ id: run.flow_id }} search={{ tab: "runs", run: run.id }} className="text-accent hover:underline">
                  {flowName(run.flow_id) ?? run.flow_id}
                </Link>
              </li>
            ))}
          </ul>
        )}
      </section>
      <section>
        <h3 className="mb-1.5 text-[13px]">{t.body}</h3>
        {delivery.has_body ? <Body triggerId={triggerId} id={delivery.id} /> : <p className="text-dim">{t.bodyGone}</p>}
      </section>
    </div>
  );
}

/** The body is for operators: whoever may not read it sees that, and the rest. */
function Body({ triggerId, id }: { triggerId: string; id: string }) {
  const t = useTexts("triggers");
  const query = useBody(triggerId, id, true);
  if (query.error && query.data === undefined) return <Failure error={query.error} onRetry={() => void query.refetch()} />;
  return <Loaded query={query}>{(body) => (body.text !== null ? <JsonText text={body.text} label={t.body} /> : <JsonText text={body.base64 ?? ""} label={t.bodyBase64} />)}</Loaded>;
}
