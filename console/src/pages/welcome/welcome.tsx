import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Building2, Clock } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { switchOrganization } from "@/app/organizations";
import { SignOut } from "@/app/sign-out";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { type Me, meQuery, useMe } from "@/api/me";
import { movedTo } from "@/api/moves";
import { queryClient } from "@/api/queries";
import { useTexts } from "@/i18n";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { Card, Page } from "@/ui/layout";
import { ownZone } from "@/ui/zones";

const ASKED_EVERY_MS = 10_000;

/** For who belongs to no organization yet, or wants a further one: accept an invitation, or make one. */
export function Welcome() {
  const t = useTexts("welcome");
  const shell = useTexts("shell");
  const me = useMe();
  const arrive = useArrive(me);
  const accept = useChange((id: string) => data(api.POST("/api/me/invitations/{id}/accept", { params: { path: { id } } })), [], {
    onDone: ({ organization }) => void arrive(organization?.id),
  });
  return (
    <Page title={me.organization ? t.another : t.title} lead={t.lead}>
      <div className="grid max-w-xl gap-4">
        {me.invitations.length > 0 && (
          <Card title={t.invitations} isFlush>
            <ul>
              {me.invitations.map((each) => (
                <li key={each.id} className="flex items-center justify-between gap-3 border-b border-line px-4 py-3 last:border-b-0">
                  <span className="min-w-0">
                    <span className="block truncate font-medium">{t.invited(each.organization_name)}</span>
                    <span className="block truncate text-xs text-dim">{t.as((shell.roles[each.role] ?? each.role).toLowerCase(), each.invited_by)}</span>
                  </span>
                  <Button look="primary" busy={accept.isPending} onClick={() => accept.mutate(each.id)}>
                    {t.accept}
                  </Button>
                </li>
              ))}
            </ul>
          </Card>
        )}
        {me.pending_organizations.length > 0 && (
          <Card title={t.pendingTitle}>
            {me.pending_organizations.map((each) => (
              <p key={each.id} className="flex items-center gap-2.5 py-0.5" role="status">
                <Clock size={16} aria-hidden className="shrink-0 text-warn" />
                {t.pending(each.name)}
              </p>
            ))}
          </Card>
        )}
        <Create onDone={arrive} />
        {me.user && !me.organization && (
          <SignOut className="text-[13px] text-dim">
            {t.signedInAs(me.user.email)} {t.notYou}{" "}
            <button type="submit" className="underline">
              {shell.signOut}
            </button>
          </SignOut>
        )}
      </div>
    </Page>
  );
}

type Arrive = (organization: string | undefined, isNew?: boolean) => Promise<void>;

/**
 * Goes to the start once there is an organization; asks again while one waits for approval, and moves the session into it. A new one
 * begins in this person's zone.
 */
function useArrive(me: Me): Arrive {
  const navigate = useNavigate();
  const [began] = useState(me.organization?.id);
  const pending = useRef(new Set<string>());
  const isWaiting = !me.organization && me.pending_organizations.length > 0;
  useQuery({ ...meQuery, refetchInterval: isWaiting ? ASKED_EVERY_MS : false });
  const now = me.organization?.id;
  const { mutate: move } = useChange(switchOrganization, []);
  const joined = me.organizations[0]?.id;
  useEffect(() => {
    if (!now && joined) move(joined); // approved, or made for them, elsewhere than in this session
  }, [now, joined, move]);
  useEffect(() => {
    for (const { id } of me.pending_organizations) pending.current.add(id);
  }, [me.pending_organizations]);
  useEffect(() => {
    if (!now || now === began) return;
    if (began) location.assign("/"); // what is held belongs to the organization before
    else void (pending.current.has(now) ? beginInOwnZone() : Promise.resolve()).then(() => navigate({ to: "/" }));
  }, [now, began, navigate]);
  return async (organization, isNew = false) => {
    if (organization) movedTo(organization);
    if (organization && isNew) await beginInOwnZone();
    await queryClient.fetchQuery({ ...meQuery, staleTime: 0 });
  };
}

/** Give a new organization the browser's zone; one that the platform doesn't know leaves it in UTC. */
async function beginInOwnZone(): Promise<void> {
  const zone = ownZone();
  if (zone === "UTC") return;
  await data(api.PATCH("/api/organization", { body: { time_zone: zone } })).catch(() => undefined);
  await queryClient.invalidateQueries({ queryKey: meQuery.queryKey });
}

function Create({ onDone }: { onDone: Arrive }) {
  const t = useTexts("welcome");
  const [name, setName] = useState("");
  const [fault, setFault] = useState<string>();
  const [key, setKey] = useState(idempotencyKey);
  const make = useChange(
    (wanted: string) => data(api.POST("/api/organizations", { body: { name: wanted }, params: { header: { "Idempotency-Key": key } } })),
    [],
    {
      onDone: ({ id, status }) => void onDone(status === "active" ? id : undefined, true),
      onError: (error) => {
        setFault(byField(error, ["name"]).at.name ?? error.message);
        if (!error.isPassing) setKey(idempotencyKey());
        return true;
      },
    },
  );
  return (
    <Card title={t.create}>
      <p className="mb-3 flex items-center gap-2.5 text-dim">
        <Building2 size={16} aria-hidden className="shrink-0" />
        {t.createLead}
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim() && !make.isPending) make.mutate(name.trim());
        }}
      >
        <TextField
          label={t.name}
          hint={t.nameHint}
          error={fault}
          value={name}
          maxLength={120}
          required
          onChange={(event) => {
            setName(event.target.value);
            setFault(undefined);
          }}
        />
        <div className="mt-4">
          <Button look="primary" type="submit" busy={make.isPending} off={name.trim() ? null : t.nameFirst}>
            {t.createIt}
          </Button>
        </div>
      </form>
    </Card>
  );
}
