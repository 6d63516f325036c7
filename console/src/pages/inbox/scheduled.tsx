import { Clock } from "lucide-react";
import { useState } from "react";
import { api, data } from "@/api/client";
import { useList } from "@/api/queries";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Empty, Page, Time } from "@/ui/layout";
import { Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import type { Message } from "./history";
import { nameOf } from "./names";
import { useCancelScheduled, useConversation } from "./queries";

/** What waits for its time, of all threads; the next one first. */
export function Scheduled() {
  const t = useTexts("inbox");
  const [asked, setAsked] = useState<Message | null>(null);
  const query = useList(
    ["conversations", "scheduled"],
    (cursor, signal) => data(api.GET("/api/sms/scheduled", { params: { query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.messages,
  );
  const cancel = useCancelScheduled(() => {
    setAsked(null);
    toast.done(t.canceled);
  });
  return (
    <Page title={t.scheduled.title} lead={t.scheduled.lead} back={{ to: "/inbox", label: t.title }} isFlush>
      <Table
        label={t.scheduled.title}
        query={query}
        rowPx={56}
        link={(row) => ({ to: "/inbox/$id", params: { id: row.conversation_id } })}
        columns={[
          { key: "to", title: t.to, width: "minmax(7rem, 1.2fr)", cell: (row) => <Whom id={row.conversation_id} /> },
          { key: "body", title: t.text, width: "minmax(10rem, 3fr)", isWide: true, cell: (row) => <span className="line-clamp-2 text-[13px] whitespace-normal text-dim">{row.body || t.media}</span> },
          { key: "why", title: t.scheduled.why, width: "10rem", isWide: true, cell: (row) => (row.source ? t.sources[row.source] : "") },
          { key: "due", title: t.scheduled.due, width: "8.5rem", isRight: true, cell: (row) => <Time at={row.due_at ?? row.scheduled_at} /> },
          {
            key: "cancel",
            title: t.action,
            width: "6rem",
            isRight: true,
            cell: (row) => (
              <span className="relative z-[1]">
                <Button size="sm" needs="sms:write" onClick={() => setAsked(row)}>
                  {t.cancelIt}
                </Button>
              </span>
            ),
          },
        ]}
        empty={
          <Empty icon={Clock} title={t.scheduled.empty}>
            {t.scheduled.emptyLead}
          </Empty>
        }
      />
      <Confirm isOpen={asked !== null} onClose={() => setAsked(null)} title={t.scheduled.cancelTitle} verb={t.scheduled.cancel} needs="sms:write" isBusy={cancel.isPending} onConfirm={() => asked && cancel.mutate(asked.id)}>
        <p className="rounded-control bg-sunken px-3 py-2 whitespace-pre-wrap">{asked?.body || t.media}</p>
      </Confirm>
    </Page>
  );
}

/** Whom a message goes to; the thread is asked once and kept. */
export function Whom({ id }: { id: string }) {
  const { data: conversation } = useConversation(id);
  if (!conversation) return <span className="text-dim">…</span>;
  return (
    <>
      {nameOf(conversation)}
      {conversation.contact?.name && <span className="font-normal text-dim max-md:hidden"> {phone(conversation.contact_e164)}</span>}
    </>
  );
}
