import { Plus } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { meQuery, useMe } from "@/api/me";
import { arriveIn, switchOrganization } from "@/app/organizations";
import { useTexts } from "@/i18n";
import { Button, ButtonLink } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Badge, Card, Facts, Page } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { EmailChoices } from "./email-choices";
import { NoticeChoices } from "./notice-choices";
import { SignIns } from "./sign-ins";

/** Who one is here, where one belongs, and how one gets in. */
export function Account() {
  const t = useTexts("account");
  const me = useMe();
  return (
    <Page title={t.title}>
      <div className="max-w-3xl space-y-4">
        <Invitations />
        <Card title={t.you}>
          <Facts items={[[t.name, me.user?.name], [t.email, me.user?.email]]} />
          <p className="mt-3 text-xs text-dim">{t.nameFrom}</p>
        </Card>
        <Organizations />
        {me.organization && <EmailChoices organization={me.organization.name} />}
        {me.organization && <NoticeChoices />}
        <SignIns />
        <Sessions />
      </div>
    </Page>
  );
}

function Organizations() {
  const t = useTexts("account");
  const shell = useTexts("shell");
  const me = useMe();
  const change = useChange(switchOrganization, []);
  return (
    <Card
      title={t.organizations}
      isFlush
      actions={
        <ButtonLink to="/welcome" size="sm" look="quiet" icon={Plus}>
          {t.newOne}
        </ButtonLink>
      }
    >
      <ul>
        {me.organizations.map((each) => (
          <li key={each.id} className="flex items-center gap-3 border-b border-line px-4 py-2.5 last:border-b-0">
            <span className="min-w-0 flex-1 truncate font-medium">{each.name}</span>
            <span className="text-dim">{shell.roles[each.role]}</span>
            {each.id === me.organization?.id ? (
              <Badge tone="accent">{t.here}</Badge>
            ) : (
              <Button size="sm" busy={change.isPending} aria-label={t.openOf(each.name)} onClick={() => change.mutate(each.id)}>
                {t.open}
              </Button>
            )}
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Invitations() {
  const t = useTexts("account");
  const shell = useTexts("shell");
  const me = useMe();
  const accept = useChange((id: string) => data(api.POST("/api/me/invitations/{id}/accept", { params: { path: { id } } })), [], {
    onDone: ({ organization }) => organization && arriveIn(organization.id),
  });
  const decline = useChange((invitation: { id: string; name: string }) => api.POST("/api/me/invitations/{id}/decline", { params: { path: { id: invitation.id } } }), [meQuery.queryKey], {
    onDone: (_, { name }) => toast.done(t.declined(name)),
  });
  if (me.invitations.length === 0) return null;
  return (
    <Card title={t.invitations} isFlush>
      <ul>
        {me.invitations.map((each) => (
          <li key={each.id} className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-2.5 last:border-b-0">
            <span className="min-w-48 flex-1">{t.invited(each.organization_name, shell.roles[each.role] ?? each.role, each.invited_by)}</span>
            <Button size="sm" busy={decline.isPending} onClick={() => decline.mutate({ id: each.id, name: each.organization_name })}>
              {t.decline}
            </Button>
            <Button size="sm" look="primary" busy={accept.isPending} onClick={() => accept.mutate(each.id)}>
              {t.join}
            </Button>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Sessions() {
  const t = useTexts("account");
  const [isAsked, setAsked] = useState(false);
  const end = useChange(() => api.DELETE("/api/me/sessions"), [], { onDone: () => location.assign("/sign-in") });
  return (
    <Card title={t.sessions}>
      <p className="mb-3 text-dim">{t.sessionsLead}</p>
      <Button look="danger" onClick={() => setAsked(true)}>
        {t.endAll}
      </Button>
      <Confirm isOpen={isAsked} onClose={() => setAsked(false)} title={t.endTitle} verb={t.endAll} isBusy={end.isPending} onConfirm={() => end.mutate(undefined)}>
        <p>{t.sessionsLead}</p>
      </Confirm>
    </Card>
  );
}
