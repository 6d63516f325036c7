import { useSearch } from "@tanstack/react-router";
import { UserPlus } from "lucide-react";
import { useMemo, useState } from "react";
import { useMe } from "@/api/me";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Page } from "@/ui/layout";
import { Tabs } from "@/ui/tabs";
import { InviteDialog, Invites } from "./invites";
import { Members } from "./members";

export function Team() {
  const t = useTexts("team");
  const me = useMe();
  const { tab } = useSearch({ from: "/shell/team" });
  const [isInviting, setInviting] = useState(false);
  const isAdmin = me.role === "admin";
  const commands = useMemo<Command[]>(() => (isAdmin ? [{ id: "team invite", label: t.invite, keys: "i", run: () => setInviting(true) }] : []), [isAdmin, t]);
  useCommands(commands);
  const actions = (
    <Button look="primary" icon={UserPlus} needs="team:write" onClick={() => setInviting(true)}>
      {t.invite}
    </Button>
  );
  return (
    <Page title={t.title} lead={t.lead} guide="/guides/authorization" actions={isAdmin && actions} isFlush>
      {isAdmin && (
        <Tabs
          label={t.title}
          tabs={[
            { label: t.members, link: { to: "/team", search: {} }, isActive: !tab },
            { label: t.invitations, link: { to: "/team", search: { tab: "invitations" } }, isActive: tab === "invitations" },
          ]}
        />
      )}
      {tab === "invitations" && isAdmin ? <Invites onInvite={() => setInviting(true)} /> : <Members />}
      {isInviting && <InviteDialog onClose={() => setInviting(false)} />}
    </Page>
  );
}
