/** Calls that agents make: those that wait for their time, and what became of the others. */
import { useNavigate } from "@tanstack/react-router";
import { CalendarClock, PhoneOff, PhoneOutgoing } from "lucide-react";
import { Suspense, useRef, useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { useFlowName } from "@/api/flows";
import { useZone } from "@/api/me";
import { useList } from "@/api/queries";
import { useTexts } from "@/i18n";
import { fullTime, phone } from "@/lib/format";
import { Button, IconButton } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Empty, Page, Time } from "@/ui/layout";
import { part } from "@/ui/part";
import { useRowKeys } from "@/ui/row-keys";
import { type Column, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { StatusBadge } from "./labels";

const PlaceCall = part(() => import("./place-call"));
type OutboundCall = Schemas["OutboundCall"];

export function ScheduledCalls() {
  const t = useTexts("calls");
  const navigate = useNavigate();
  const [isPlacing, setPlacing] = useState(false);
  const [toCancel, setToCancel] = useState<OutboundCall>();
  const around = useRef<HTMLDivElement>(null);
  const query = useList(
    ["calls", "outbound"],
    (cursor, signal) => data(api.GET("/api/outbound/calls", { params: { query: cursor ? { limit: 50, cursor } : { limit: 50 } }, signal })),
    (page) => page.calls,
  );
  const keys = useRowKeys(query.rows, query.offset, around, (row) => void navigate({ to: "/calls/$id", params: { id: row.id } }), 52);
  const columns = useColumns(setToCancel);
  return (
    <Page
      title={t.scheduledTitle}
      lead={t.scheduledLead}
      back={{ to: "/calls", label: t.title }}
      isFlush
      actions={
        <Button look="primary" icon={PhoneOutgoing} needs="calls:write" onClick={() => setPlacing(true)}>
          {t.place}
        </Button>
      }
    >
      <div ref={around} className="flex min-h-0 flex-1 flex-col">
        <Table
          label={t.scheduledTitle}
          query={query}
          columns={columns}
          rowPx={52}
          isChosen={keys.isChosen}
          link={(row) => ({ to: "/calls/$id", params: { id: row.id } })}
          empty={
            <Empty
              icon={CalendarClock}
              title={t.scheduledEmpty}
              action={
                <Button look="primary" icon={PhoneOutgoing} needs="calls:write" onClick={() => setPlacing(true)}>
                  {t.place}
                </Button>
              }
            >
              {t.scheduledEmptyLead}
            </Empty>
          }
        />
      </div>
      {toCancel && <CancelCall call={toCancel} onClose={() => setToCancel(undefined)} />}
      {isPlacing && (
        <Suspense>
          <PlaceCall to="" onClose={() => setPlacing(false)} />
        </Suspense>
      )}
    </Page>
  );
}

function CancelCall({ call, onClose }: { call: OutboundCall; onClose: () => void }) {
  const t = useTexts("calls");
  const cancel = useChange((id: string) => api.DELETE("/api/outbound/calls/{id}", { params: { path: { id } } }), [["calls"]], {
    onDone: () => {
      toast.done(t.callCanceled);
      onClose();
    },
  });
  return (
    <Confirm isOpen onClose={onClose} title={t.cancelCall} verb={t.cancelCall} needs="calls:write" isBusy={cancel.isPending} onConfirm={() => cancel.mutate(call.id)}>
      {t.cancelCallLead(call.contact?.name ?? phone(call.to))}
    </Confirm>
  );
}

function useColumns(onCancel: (call: OutboundCall) => void): readonly Column<OutboundCall>[] {
  const t = useTexts("calls");
  const flowName = useFlowName();
  return [
    { key: "to", title: t.whom, width: "minmax(7rem, 1.6fr)", cell: (call) => <Whom call={call} /> },
    { key: "agent", title: t.agent, width: "minmax(6rem, 1fr)", isWide: true, cell: (call) => <span className="text-dim">{flowName(call.flow_id) ?? "–"}</span> },
    { key: "status", title: t.status, width: "7.5rem", cell: (call) => <StatusBadge status={call.status} /> },
    { key: "waits", title: t.waitsFor, width: "minmax(9rem, 1.6fr)", isWide: true, cell: (call) => <Waits call={call} /> },
    { key: "attempts", title: t.attemptsMade, width: "6rem", isWide: true, isRight: true, cell: (call) => `${call.attempts.length} / ${call.max_attempts}` },
    { key: "created", title: t.ordered, width: "8.5rem", isWide: true, isRight: true, cell: (call) => <Time at={call.created_at} /> },
    {
      key: "cancel",
      title: "",
      width: "2.75rem",
      isRight: true,
      cell: (call) =>
        (call.status === "queued" || call.status === "ringing") && (
          <span className="relative z-1">
            <IconButton size="sm" icon={PhoneOff} label={t.cancelCall} needs="calls:write" onClick={() => onCancel(call)} />
          </span>
        ),
    },
  ];
}

function Whom({ call }: { call: OutboundCall }) {
  return (
    <span className="flex min-w-0 gap-2">
      <span className="truncate">{call.contact?.name ?? phone(call.to)}</span>
      {call.contact?.name && <span className="truncate font-normal text-dim max-lg:hidden">{phone(call.to)}</span>}
    </span>
  );
}

/** What a call waits for, and until when; or why it ended. */
function Waits({ call }: { call: OutboundCall }) {
  const t = useTexts("calls");
  const zone = useZone();
  if (call.waits_for) {
    return (
      <span title={call.due_at ? fullTime(call.due_at, zone) : undefined}>
        {t.waits[call.waits_for]}
        {call.due_at && (
          <span className="text-dim">
            {" · "}
            <Time at={call.due_at} />
          </span>
        )}
      </span>
    );
  }
  const code = call.attempts.at(-1)?.carrier_code;
  return <span className="text-dim">{[call.end_reason && (t.endReasons[call.end_reason] ?? call.end_reason), code].filter(Boolean).join(" · ")}</span>;
}
