/** What a webhook was sent, and one delivery beside it: its body, and what the receiver answered each time. */
import { useNavigate } from "@tanstack/react-router";
import { PackageOpen, RotateCcw } from "lucide-react";
import { type ReactNode, useCallback, useRef, useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data, idempotencyKey } from "@/api/client";
import { useTexts } from "@/i18n";
import { count } from "@/lib/format";
import { Aside } from "@/ui/aside";
import { Button } from "@/ui/button";
import { JsonText } from "@/ui/json";
import { useHeld } from "@/ui/held";
import { Empty, Facts, Loaded, Time } from "@/ui/layout";
import { useRowKeys } from "@/ui/row-keys";
import { type Column, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { Answer, StateBadge } from "../labels";
import { type Delivery, useDeliveries, useDelivery, useFreshDeliveries } from "../queries";
import { DELIVERY_STATES, type WebhookSearch, webhookRoute } from "../route";

export function Deliveries({ id, onTest }: { id: string; onTest: ReactNode }) {
  const t = useTexts("webhooks");
  const search = webhookRoute.useSearch();
  const navigate = useNavigate();
  const query = useDeliveries(id, search.state);
  useFreshDeliveries(id);
  const around = useRef<HTMLDivElement>(null);
  const [isOver, setOver] = useState(false);
  const { rows, waiting, release } = useHeld(query.rows, isOver, search.state ?? "all");
  const go = useCallback((next: WebhookSearch): void => void navigate({ to: "/webhooks/$id", params: { id }, search: next, resetScroll: false, replace: Boolean(next.delivery) }), [navigate, id]);
  const open = useCallback((deliveryId: string | undefined): void => go({ ...(search.state ? { state: search.state } : {}), ...(deliveryId ? { delivery: deliveryId } : {}) }), [go, search.state]);
  const keys = useRowKeys(rows, query.offset, around, (row) => open(row.id));
  const columns = useColumns(Boolean(search.delivery));
  return (
    <>
      <div className="flex flex-wrap items-center gap-2 px-6 py-2.5 max-md:px-4">
        <select
          aria-label={t.state}
          value={search.state ?? ""}
          className={`h-8 rounded-control border px-2 pr-6 text-[13px] max-md:h-11 max-md:text-base ${search.state ? "border-accent bg-accent-soft" : "border-line bg-surface"}`}
          onChange={(event) => {
            const state = DELIVERY_STATES.find((each) => each === event.target.value);
            go(state ? { state } : {});
          }}
        >
          <option value="">{t.anyState}</option>
          {DELIVERY_STATES.map((state) => (
            <option key={state} value={state}>
              {t.states[state]}
            </option>
          ))}
        </select>
        {waiting > 0 && (
          <Button size="sm" onClick={release}>
            {t.newOnes(waiting)}
          </Button>
        )}
      </div>
      <div className="flex min-h-0 flex-1">
        <div ref={around} onPointerEnter={() => setOver(true)} onPointerLeave={() => setOver(false)} className={`flex min-h-0 min-w-0 flex-1 flex-col ${search.delivery ? "max-md:hidden" : ""}`}>
          <Table
            label={t.deliveries}
            query={{ ...query, rows }}
            columns={columns}
            isChosen={(row) => row.id === search.delivery || keys.isChosen(row)}
            link={(row) => ({ to: "/webhooks/$id", params: { id }, search: { ...(search.state ? { state: search.state } : {}), delivery: row.id }, resetScroll: false })}
            empty={
              search.state ? (
                <Empty icon={PackageOpen} title={t.noneInState} />
              ) : (
                <Empty icon={PackageOpen} title={t.noDeliveries} action={onTest}>
                  {t.noDeliveriesLead}
                </Empty>
              )
            }
          />
        </div>
        {search.delivery && <DeliveryPanel key={search.delivery} webhookId={id} id={search.delivery} onClose={() => open(undefined)} />}
      </div>
    </>
  );
}

/** Beside an open delivery there is room for the first ones alone. */
function useColumns(isNarrow: boolean): readonly Column<Delivery>[] {
  const t = useTexts("webhooks");
  const columns: readonly Column<Delivery>[] = [
    { key: "type", title: t.event, width: "minmax(9rem, 1.6fr)", cell: (row) => <span className="font-mono text-[13px]">{row.event_type}</span> },
    { key: "state", title: t.state, width: "6.5rem", cell: (row) => <StateBadge state={row.state} /> },
    { key: "answer", title: t.answer, width: "7.5rem", isWide: true, cell: (row) => <Answer of={row} /> },
    { key: "attempts", title: t.attempts, width: "5rem", isWide: true, isRight: true, cell: (row) => count(row.attempt_count) },
    { key: "next", title: t.next, width: "9.5rem", isWide: true, isRight: true, cell: (row) => <Time at={row.next_attempt_at} isExact /> },
    { key: "when", title: t.when, width: "9.5rem", isRight: true, cell: (row) => <Time at={row.created_at} isExact /> },
  ];
  return isNarrow ? columns.filter((each) => each.key !== "attempts" && each.key !== "next") : columns;
}

function DeliveryPanel({ webhookId, id, onClose }: { webhookId: string; id: string; onClose: () => void }) {
  const t = useTexts("webhooks");
  const query = useDelivery(webhookId, id);
  // Each press sends it once more.
  const again = useChange(
    () => data(api.POST("/api/webhooks/{id}/deliveries/{delivery_id}/redeliver", { body: {}, params: { path: { id: webhookId, delivery_id: id }, header: { "Idempotency-Key": idempotencyKey() } } })),
    [["webhooks", webhookId]],
    { onDone: () => toast.done(t.redelivered) },
  );
  return (
    <Aside
      title={<span className="font-mono text-[13px]">{query.data?.event_type ?? t.delivery}</span>}
      label={t.delivery}
      badge={query.data && <StateBadge state={query.data.state} />}
      onClose={onClose}
      actions={
        <Button icon={RotateCcw} needs="webhooks:write" off={query.data && query.data.body === null ? t.bodyGone : null} busy={again.isPending} onClick={() => again.mutate(undefined)}>
          {t.redeliver}
        </Button>
      }
    >
      <Loaded query={query}>{(delivery) => <DeliveryBody delivery={delivery} />}</Loaded>
    </Aside>
  );
}

function DeliveryBody({ delivery }: { delivery: Delivery }) {
  const t = useTexts("webhooks");
  return (
    <div className="space-y-5">
      <Facts
        items={[
          [t.when, <Time key="w" at={delivery.created_at} />],
          delivery.ended_at !== null && [t.ended, <Time key="e" at={delivery.ended_at} />],
          delivery.next_attempt_at !== null && [t.next, <Time key="n" at={delivery.next_attempt_at} />],
          delivery.sequence !== null && [t.sequence, delivery.sequence],
          [t.eventId, <code key="i" className="font-mono text-xs break-all">{delivery.event_id}</code>],
        ]}
      />
      <section>
        <h3 className="mb-1.5 text-[13px]">{t.body}</h3>
        {delivery.body === null ? <p className="text-dim">{t.bodyGone}</p> : <JsonText text={delivery.body} label={t.body} />}
      </section>
      <section>
        <h3 className="mb-1.5 text-[13px]">{t.attempts}</h3>
        {delivery.attempts.length === 0 && <p className="text-dim">{t.noAttempts}</p>}
        <ol className="space-y-3">
          {delivery.attempts.toReversed().map((attempt) => (
            <AttemptView key={attempt.number} attempt={attempt} />
          ))}
        </ol>
      </section>
    </div>
  );
}

function AttemptView({ attempt }: { attempt: Schemas["WebhookAttempt"] }) {
  const t = useTexts("webhooks");
  return (
    <li className="rounded-control border border-line p-3">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <span className="font-medium">{t.attempt(attempt.number)}</span>
        <Answer of={attempt} />
        <span className="tabular text-xs text-dim">{t.took(count(attempt.duration_ms))}</span>
        <span className="ml-auto text-xs text-dim">
          <Time at={attempt.started_at} isExact />
        </span>
      </div>
      {attempt.message && <p className="mt-1 text-xs text-dim">{attempt.message}</p>}
      {attempt.response_body && (
        <div className="mt-2">
          <JsonText text={attempt.response_body} label={t.answerBody(attempt.number)} openLevels={2} />
        </div>
      )}
    </li>
  );
}
