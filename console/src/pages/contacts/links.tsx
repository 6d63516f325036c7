/** The contacts that belong with a contact: a person's other numbers, a household. */
import { Link } from "@tanstack/react-router";
import { Link2, Unlink } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { useCan, useMe } from "@/api/me";
import { useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { Button } from "@/ui/button";
import { Card, Loaded } from "@/ui/layout";
import { SearchField } from "@/ui/search-field";
import { toast } from "@/ui/toast";

type Linked = Schemas["LinkedContact"];
type Party = Pick<Linked, "name" | "phone_e164" | "company">;

/** As many as are read at a glance; more words find the others. */
const MOST_OFFERED = 5;

function titleOf({ name, phone_e164 }: Party): string {
  return name ?? phone(phone_e164);
}

export function Links({ id }: { id: string }) {
  const t = useTexts("contacts");
  const path = { contact_id: id };
  // Asked again on news of any contact: a name that is shown here may change, too.
  const query = useThing(["contacts", "links", id], (signal) => data(api.GET("/api/contacts/{contact_id}/links", { params: { path }, signal })));
  const touches = [["contacts", "links"]];
  const link = useChange((other: Party & { id: string }) => data(api.POST("/api/contacts/{contact_id}/links", { params: { path }, body: { linked_id: other.id } })), touches, {
    onDone: (_, other) => toast.done(t.linkedNow(titleOf(other))),
  });
  const unlink = useChange((other: Linked) => api.DELETE("/api/contacts/{contact_id}/links/{linked_id}", { params: { path: { ...path, linked_id: other.id } } }), touches, {
    onDone: (_, other) => toast.done(t.unlinkedNow(titleOf(other)), { label: t.undo, run: () => link.mutate(other) }),
  });
  return (
    <Card title={t.links}>
      <Loaded query={query}>
        {({ contacts }) => (
          <div className="space-y-3">
            {contacts.length === 0 && <p className="text-[13px] text-dim">{t.linksLead}</p>}
            <ul className="-my-1 divide-y divide-line empty:hidden">
              {contacts.map((other) => (
                <Row key={other.id} party={other} title={<Link to="/contacts/$id" params={{ id: other.id }} className="hover:underline">{titleOf(other)}</Link>}>
                  <Button size="sm" icon={Unlink} needs="contacts:write" busy={unlink.isPending && unlink.variables.id === other.id} aria-label={t.unlinkOf(titleOf(other))} onClick={() => unlink.mutate(other)}>
                    {t.unlink}
                  </Button>
                </Row>
              ))}
            </ul>
            <Another without={new Set([id, ...contacts.map((each) => each.id)])} isBusy={link.isPending} onLink={(other) => link.mutate(other)} />
          </div>
        )}
      </Loaded>
    </Card>
  );
}

function Row({ party, title, children }: { party: Party; title: ReactNode; children: ReactNode }) {
  return (
    <li className="flex items-center justify-between gap-3 py-1.5">
      <span className="min-w-0">
        <span className="block truncate font-medium">{title}</span>
        <span className="tabular block truncate text-[13px] text-dim">{[party.name && phone(party.phone_e164), party.company].filter(Boolean).join(" · ")}</span>
      </span>
      {children}
    </li>
  );
}

/** A search among all contacts, which a limited member does not have. */
function Another({ without, isBusy, onLink }: { without: ReadonlySet<string>; isBusy: boolean; onLink: (other: Party & { id: string }) => void }) {
  const t = useTexts("contacts");
  const { limited } = useMe();
  const mayWrite = useCan("contacts:write");
  const [q, setQ] = useState("");
  // Those that are linked already are left out, and one may be the contact itself.
  const query = useThing(["contacts", "to-link", q], (signal) => data(api.GET("/api/contacts", { params: { query: { q, limit: MOST_OFFERED + without.size } }, signal })), { enabled: q !== "" });
  if (!mayWrite) return null;
  if (limited) return <p className="text-[13px] text-dim">{t.linkAll}</p>;
  return (
    <div className="space-y-2">
      <SearchField id="link-search" label={t.linkSearch} placeholder={t.linkSearch} value={q} onChange={setQ} />
      {q !== "" && (
        <Loaded query={query}>
          {(page) => {
            const offered = page.contacts.filter((each) => !without.has(each.id)).slice(0, MOST_OFFERED);
            if (offered.length === 0) return <p className="text-[13px] text-dim">{t.noneMatch}</p>;
            return (
              <ul className="divide-y divide-line">
                {offered.map((each) => {
                  const other = { ...each, name: each.name ?? each.caller_name };
                  return (
                    <Row key={each.id} party={other} title={titleOf(other)}>
                      <Button
                        size="sm"
                        icon={Link2}
                        needs="contacts:write"
                        busy={isBusy}
                        aria-label={t.linkWith(titleOf(other))}
                        onClick={() => {
                          onLink(other);
                          setQ("");
                        }}
                      >
                        {t.link}
                      </Button>
                    </Row>
                  );
                })}
              </ul>
            );
          }}
        </Loaded>
      )}
    </div>
  );
}
