import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { useCan } from "@/api/me";
import { useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Badge, Facts, Failure, Loaded, Time } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { nameOf } from "./names";
import { type Conversation, useOptOut } from "./queries";
import { Runs } from "./runs";

/** Beside a thread: who it is, and what the AI did. Each part fails alone. */
export function Side({ conversation }: { conversation: Conversation }) {
  const canContacts = useCan("contacts:read");
  const canCalls = useCan("calls:read");
  return (
    <div className="divide-y divide-line">
      <Part>
        <Who conversation={conversation} mayOpen={canContacts} />
      </Part>
      {canCalls && (
        <Part>
          <Calls e164={conversation.contact_e164} />
        </Part>
      )}
      <Part>
        <Runs conversation={conversation} />
      </Part>
    </div>
  );
}

function Part({ children }: { children: React.ReactNode }) {
  return <div className="px-4 py-4">{children}</div>;
}

function Who({ conversation, mayOpen }: { conversation: Conversation; mayOpen: boolean }) {
  const t = useTexts("inbox");
  const id = conversation.contact?.id;
  const query = useThing(["contacts", id], (signal) => data(api.GET("/api/contacts/{id}", { params: { path: { id: id ?? "" } }, signal })), { enabled: mayOpen && Boolean(id) });
  const [asks, setAsks] = useState(false);
  const optOut = useOptOut((isOut) => {
    setAsks(false);
    toast.done(isOut ? t.optOuts.added : t.optOuts.removed);
  });
  return (
    <section aria-label={t.contact} className="space-y-3">
      <div>
        <h2 className="text-base">{id && mayOpen ? <Link to="/contacts/$id" params={{ id }} className="hover:underline">{nameOf(conversation)}</Link> : nameOf(conversation)}</h2>
        <p className="tabular text-dim">{phone(conversation.contact_e164)}</p>
      </div>
      {query.error && <Failure error={query.error} onRetry={() => void query.refetch()} />}
      {query.data && (
        <>
          <Facts
            items={[
              query.data.company ? [t.company, query.data.company] : null,
              query.data.email ? [t.email, query.data.email] : null,
              query.data.line_type ? [t.line, [t.lineTypes[query.data.line_type] ?? query.data.line_type, query.data.carrier].filter(Boolean).join(" · ")] : null,
            ]}
          />
          {query.data.tags.length > 0 && (
            <p className="flex flex-wrap gap-1">
              {query.data.tags.map((tag) => (
                <Badge key={tag}>{tag}</Badge>
              ))}
            </p>
          )}
          {query.data.notes && <p className="line-clamp-6 rounded-control bg-sunken px-3 py-2 text-[13px] whitespace-pre-wrap">{query.data.notes}</p>}
        </>
      )}
      <div className="flex flex-wrap gap-1.5">
        {!id && <MakeContact e164={conversation.contact_e164} />}
        {conversation.opted_out ? (
          <Button size="sm" needs="sms:write" onClick={() => setAsks(true)}>
            {t.optIn}
          </Button>
        ) : (
          <Button size="sm" needs="sms:write" onClick={() => setAsks(true)}>
            {t.optOut}
          </Button>
        )}
      </div>
      <Confirm
        isOpen={asks}
        onClose={() => setAsks(false)}
        title={conversation.opted_out ? t.optInTitle(nameOf(conversation)) : t.optOutTitle(nameOf(conversation))}
        verb={conversation.opted_out ? t.optIn : t.optOut}
        needs="sms:write"
        isBusy={optOut.isPending}
        onConfirm={() => optOut.mutate({ e164: conversation.contact_e164, isOut: !conversation.opted_out })}
      >
        {conversation.opted_out ? t.optInLead : t.optOutLead}
      </Confirm>
    </section>
  );
}

function MakeContact({ e164 }: { e164: string }) {
  const t = useTexts("inbox");
  const [key] = useState(idempotencyKey);
  const make = useChange(
    () => data(api.POST("/api/contacts", { body: { phone_e164: e164 }, params: { header: { "Idempotency-Key": key } } })),
    [["contacts"], ["conversations"]],
    { onDone: () => toast.done(t.contactMade) },
  );
  return (
    <Button size="sm" needs="contacts:write" busy={make.isPending} onClick={() => make.mutate(undefined)}>
      {t.makeContact}
    </Button>
  );
}

function Calls({ e164 }: { e164: string }) {
  const t = useTexts("inbox");
  const query = useThing(["calls", "of", e164], (signal) => data(api.GET("/api/calls", { params: { query: { contact: e164, limit: 5 } }, signal })));
  return (
    <section aria-label={t.calls}>
      <h3 className="mb-2 text-[13px]">{t.calls}</h3>
      <Loaded query={query}>
        {({ calls }) =>
          calls.length === 0 ? (
            <p className="text-[13px] text-dim">{t.noCalls}</p>
          ) : (
            <ul className="space-y-2 text-[13px]">
              {calls.map((call) => (
                <li key={call.id}>
                  <Link to="/calls/$id" params={{ id: call.id }} className="block hover:underline">
                    <span className="flex justify-between gap-2">
                      <span className="min-w-0 truncate">{call.outcome_label ?? t.directions[call.direction]}</span>
                      <span className="text-xs text-dim">
                        <Time at={call.created_at} />
                      </span>
                    </span>
                    {call.summary_text && <span className="line-clamp-2 text-dim">{call.summary_text}</span>}
                  </Link>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </section>
  );
}
