import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { MessageSquare, PhoneOutgoing } from "lucide-react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { asApiError, useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { count, phone } from "@/lib/format";
import { Button } from "@/ui/button";
import { Badge, Card, Facts, Loaded, Page, Skeleton, Time, Failure } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { Attributes } from "./attributes";
import { Danger, Permissions } from "./danger";
import { Fields, Notes, TagsCard } from "./fields";
import { Links } from "./links";

export type ContactRow = Schemas["Contact"];

/** One contact: what is known of it and by whom, and all that there is between us. */
export function Contact() {
  const t = useTexts("contacts");
  const { id } = useParams({ from: "/shell/contacts/$id" });
  const query = useThing(["contacts", id], (signal) => data(api.GET("/api/contacts/{id}", { params: { path: { id } }, signal })));
  const contact = query.data;
  const back = { to: "/contacts", label: t.title } as const;
  if (!contact) {
    const isGone = query.error && asApiError(query.error).status === 404;
    return (
      <Page title={t.contact} back={back}>
        {isGone ? <p className="py-10 text-center text-dim">{t.gone}</p> : query.error ? <Failure error={query.error} onRetry={() => void query.refetch()} /> : <Skeleton lines={8} height="h-7" />}
      </Page>
    );
  }
  return (
    <Page
      key={id}
      title={contact.name ?? contact.caller_name ?? phone(contact.phone_e164)}
      back={back}
      actions={<Reach e164={contact.phone_e164} />}
      lead={
        <span className="flex flex-wrap items-center gap-2">
          <span className="tabular">{phone(contact.phone_e164)}</span>
          {contact.untextable_code && <Badge tone="warn">{t.untextable(contact.untextable_code)}</Badge>}
        </span>
      }
    >
      <div className="grid gap-4 lg:grid-cols-[minmax(0,1.3fr)_minmax(0,1fr)]">
        <div className="grid content-start gap-4">
          <Fields contact={contact} />
          <Notes contact={contact} />
          <Attributes contact={contact} />
        </div>
        <div className="grid content-start gap-4">
          <TagsCard contact={contact} />
          <Links id={contact.id} />
          <Between e164={contact.phone_e164} />
          <Line contact={contact} />
          <Permissions contact={contact} />
          <Danger contact={contact} />
        </div>
      </div>
    </Page>
  );
}

function Reach({ e164 }: { e164: string }) {
  const t = useTexts("contacts");
  const navigate = useNavigate();
  return (
    <>
      <Button icon={PhoneOutgoing} needs="calls:write" onClick={() => void navigate({ to: "/calls", search: { place: e164 } })}>
        {t.reachByCall}
      </Button>
      <Button icon={MessageSquare} needs="sms:write" onClick={() => void navigate({ to: "/inbox", search: { to: e164 } })}>
        {t.reachByText}
      </Button>
    </>
  );
}

const DAY = 86_400_000;

/** Whether what the carrier said is missing, or a month old. */
function isOld({ looked_up_at, line_type }: ContactRow): boolean {
  const age = looked_up_at ? Date.now() - new Date(looked_up_at).getTime() : Infinity;
  return age > 30 * DAY || (age > DAY && !line_type);
}

function Line({ contact }: { contact: ContactRow }) {
  const t = useTexts("contacts");
  const lookUp = useChange(() => data(api.POST("/api/contacts/{id}/look-up", { params: { path: { id: contact.id } } })), [["contacts"]], { onDone: () => toast.done(t.lookUpBegun) });
  return (
    <Card title={t.history}>
      <Facts
        items={[
          [t.created, <Time key="created" at={contact.created_at} />],
          [t.updated, <Time key="updated" at={contact.updated_at} />],
          [t.lookedUp, contact.looked_up_at ? <Time key="looked" at={contact.looked_up_at} /> : t.never],
        ]}
      />
      {isOld(contact) && (
        <Button needs="contacts:write" busy={lookUp.isPending} off={lookUp.isSuccess ? t.lookUpBegun : null} onClick={() => lookUp.mutate(undefined)}>
          {t.lookUp}
        </Button>
      )}
    </Card>
  );
}

/** Its threads and calls; each panel fails alone. */
function Between({ e164 }: { e164: string }) {
  const t = useTexts("contacts");
  const maySms = useCan("sms:read");
  const mayCalls = useCan("calls:read");
  const threads = useThing(["conversations", "of", e164], (signal) => data(api.GET("/api/sms/conversations", { params: { query: { q: e164, limit: 5 } }, signal })), { enabled: maySms });
  const calls = useThing(["calls", "of", e164, 10], (signal) => data(api.GET("/api/calls", { params: { query: { contact: e164, limit: 10 } }, signal })), { enabled: mayCalls });
  return (
    <>
      {maySms && (
        <Card title={t.threads}>
          <Loaded query={threads}>
            {({ conversations }) => {
              const own = conversations.filter((each) => each.contact_e164 === e164);
              if (own.length === 0) return <p className="text-dim">{t.noThreads}</p>;
              return (
                <ul className="-my-2 divide-y divide-line">
                  {own.map((each) => (
                    <li key={each.id}>
                      <Link to="/inbox/$id" params={{ id: each.id }} className="block py-2 hover:underline">
                        <span className="flex justify-between gap-2">
                          <span className="tabular text-[13px] text-dim">{t.via(phone(each.number_e164))}</span>
                          <span className="text-xs text-dim">
                            <Time at={each.last_message_at} />
                          </span>
                        </span>
                        <span className="block truncate">{each.last_message_preview}</span>
                        {each.unread_count > 0 && <Badge tone="accent">{t.unread(count(each.unread_count))}</Badge>}
                      </Link>
                    </li>
                  ))}
                </ul>
              );
            }}
          </Loaded>
        </Card>
      )}
      {mayCalls && (
        <Card title={t.calls}>
          <Loaded query={calls}>
            {(page) =>
              page.calls.length === 0 ? (
                <p className="text-dim">{t.noCalls}</p>
              ) : (
                <ul className="-my-2 divide-y divide-line">
                  {page.calls.map((call) => (
                    <li key={call.id}>
                      <Link to="/calls/$id" params={{ id: call.id }} className="block py-2 hover:underline">
                        <span className="flex justify-between gap-2">
                          <span className="min-w-0 truncate">{call.outcome_label ?? t.directions[call.direction]}</span>
                          <span className="text-xs text-dim">
                            <Time at={call.created_at} />
                          </span>
                        </span>
                        {call.summary_text && <span className="line-clamp-2 text-[13px] text-dim">{call.summary_text}</span>}
                      </Link>
                    </li>
                  ))}
                </ul>
              )
            }
          </Loaded>
        </Card>
      )}
    </>
  );
}
