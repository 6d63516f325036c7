import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { useCan, useMe } from "@/api/me";
import { queryClient, useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Badge, Card, Loaded } from "@/ui/layout";
import { toast } from "@/ui/toast";
import type { ContactRow } from "./contact";

/** Whether the contact gets texts, and whether it may call. */
export function Permissions({ contact }: { contact: ContactRow }) {
  const t = useTexts("contacts");
  const maySms = useCan("sms:read");
  const mayCalls = useCan("calls:read");
  // Both lists are the whole organization's.
  if (useMe().limited) return null;
  return (
    <Card title={t.permissions}>
      <div className="space-y-4">
        {maySms && <OptOut e164={contact.phone_e164} />}
        {mayCalls && <Block e164={contact.phone_e164} />}
      </div>
    </Card>
  );
}

function OptOut({ e164 }: { e164: string }) {
  const t = useTexts("contacts");
  const [asks, setAsks] = useState(false);
  const query = useThing(["optOuts", e164], (signal) => data(api.GET("/api/sms/opt-outs", { params: { query: { contact_e164: e164 } }, signal })));
  const change = useChange(
    async (isOut: boolean) => {
      if (isOut) await api.POST("/api/sms/opt-outs", { body: { contact_e164: e164 }, params: { header: { "Idempotency-Key": idempotencyKey() } } });
      else await api.DELETE("/api/sms/opt-outs/{contact_e164}", { params: { path: { contact_e164: e164 } } });
    },
    [["optOuts"], ["conversations"]],
    { onDone: () => setAsks(false) },
  );
  return (
    <Loaded query={query}>
      {({ opt_outs: [found] }) => {
        const isOut = found !== undefined;
        return (
          <div className="flex items-start justify-between gap-3">
            <div>
              <p className="flex items-center gap-2 font-medium">
                {t.texts} {isOut ? <Badge tone="bad">{t.optedOut}</Badge> : <Badge tone="good">{t.allowed}</Badge>}
              </p>
              <p className="text-[13px] text-dim">{found?.carrier_blocked ? t.carrierBlocked : t.textsLead}</p>
            </div>
            <Button size="sm" needs="sms:write" onClick={() => setAsks(true)}>
              {isOut ? t.optIn : t.optOut}
            </Button>
            <Confirm isOpen={asks} onClose={() => setAsks(false)} title={isOut ? t.optIn : t.optOut} verb={isOut ? t.optIn : t.optOut} needs="sms:write" isBusy={change.isPending} onConfirm={() => change.mutate(!isOut)}>
              {isOut ? t.optInLead : t.optOutLead}
            </Confirm>
          </div>
        );
      }}
    </Loaded>
  );
}

/** The list of blocked numbers has no look-up by number; its pages are gone through until the number is found. */
async function isBlocked(e164: string, signal: AbortSignal): Promise<boolean> {
  let cursor: string | undefined;
  for (let pages = 0; pages < 25; pages += 1) {
    const page = await data(api.GET("/api/blocklist", { params: { query: { limit: 200, ...(cursor ? { cursor } : {}) } }, signal }));
    if (page.blocklist.some((each) => each.phone_e164 === e164)) return true;
    if (!page.next_cursor) return false;
    cursor = page.next_cursor;
  }
  return false;
}

function Block({ e164 }: { e164: string }) {
  const t = useTexts("contacts");
  const query = useThing(["blocklist", "has", e164], (signal) => isBlocked(e164, signal));
  const change = useChange(
    async (isOn: boolean) => {
      if (isOn) await api.POST("/api/blocklist", { body: { phone_e164: e164 }, params: { header: { "Idempotency-Key": idempotencyKey() } } });
      else await api.DELETE("/api/blocklist/{phone_e164}", { params: { path: { phone_e164: e164 } } });
      return isOn;
    },
    [["blocklist"]],
    { onDone: (isOn) => toast.done(isOn ? t.blockedDone : t.unblockedDone, { label: t.undo, run: () => change.mutate(!isOn) }) },
  );
  return (
    <Loaded query={query}>
      {(isOn) => (
        <div className="flex items-start justify-between gap-3">
          <div>
            <p className="flex items-center gap-2 font-medium">
              {t.callsAllowed} {isOn ? <Badge tone="bad">{t.blocked}</Badge> : <Badge tone="good">{t.allowed}</Badge>}
            </p>
            <p className="text-[13px] text-dim">{t.blockLead}</p>
          </div>
          <Button size="sm" needs="calls:write" busy={change.isPending} onClick={() => change.mutate(!isOn)}>
            {isOn ? t.unblock : t.block}
          </Button>
        </div>
      )}
    </Loaded>
  );
}

/** What can't be undone: the contact alone, or everything of this person. */
export function Danger({ contact }: { contact: ContactRow }) {
  const t = useTexts("contacts");
  const navigate = useNavigate();
  const isAdmin = useMe().role === "admin";
  const [asked, setAsked] = useState<"delete" | "erase" | null>(null);
  const path = { id: contact.id };
  const remove = useChange(
    (what: "delete" | "erase") => (what === "erase" ? api.DELETE("/api/contacts/{id}/everything", { params: { path } }) : api.DELETE("/api/contacts/{id}", { params: { path } })),
    [],
    {
      onDone: (_, what) => {
        toast.done(what === "erase" ? t.erased : t.deleted);
        void navigate({ to: "/contacts" }).then(() => {
          queryClient.removeQueries({ queryKey: ["contacts", contact.id] });
          for (const queryKey of [["contacts"], ["conversations"], ["calls"]]) void queryClient.invalidateQueries({ queryKey });
        });
      },
    },
  );
  return (
    <Card title={t.danger}>
      <div className="space-y-4">
        <div className="flex items-start justify-between gap-3">
          <p className="text-[13px] text-dim">{t.deleteLead}</p>
          <Button size="sm" look="danger" needs="contacts:write" onClick={() => setAsked("delete")}>
            {t.delete}
          </Button>
        </div>
        <div className="flex items-start justify-between gap-3">
          <p className="text-[13px] text-dim">{t.eraseLead}</p>
          <Button size="sm" look="danger" needs="contacts:write" off={isAdmin ? null : t.adminsErase} onClick={() => setAsked("erase")}>
            {t.erase}
          </Button>
        </div>
      </div>
      {asked && (
        <Confirm
          isOpen
          onClose={() => setAsked(null)}
          title={asked === "erase" ? t.eraseTitle : t.deleteTitle}
          verb={asked === "erase" ? t.erase : t.delete}
          needs="contacts:write"
          typed={asked === "erase" ? contact.phone_e164 : t.deleteWord}
          isBusy={remove.isPending}
          onConfirm={() => remove.mutate(asked)}
        >
          {asked === "erase" ? t.eraseConfirm(contact.name ?? phone(contact.phone_e164)) : t.deleteLead}
        </Confirm>
      )}
    </Card>
  );
}
