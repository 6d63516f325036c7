import { MailX, UserPlus } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { Copy } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import { SelectField, TextField } from "@/ui/field";
import { Empty, Time } from "@/ui/layout";
import { type Column, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { type Invite, ROLES, type Role, useInviteTo, useInvites, useSendsEmails } from "./queries";
import { Seen, isLimited, limitsOf } from "./sees";

const TOUCHED = [["team", "invites"], ["billing"]];

export function Invites({ onInvite }: { onInvite: () => void }) {
  const t = useTexts("team");
  const columns = useColumns();
  const empty = (
    <Empty icon={UserPlus} title={t.emptyTitle} action={<Button look="primary" needs="team:write" onClick={onInvite}>{t.invite}</Button>}>
      {t.emptyLead}
    </Empty>
  );
  return <Table label={t.invitations} query={useInvites(true)} columns={columns} empty={empty} />;
}

function useColumns(): Column<Invite>[] {
  const t = useTexts("team");
  const shell = useTexts("shell");
  return [
    { key: "email", title: t.email, width: "minmax(9rem, 2fr)", cell: (row) => <span className="font-medium">{row.email}</span> },
    { key: "role", title: t.role, width: "7rem", isWide: true, cell: (row) => shell.roles[row.role] },
    { key: "sees", title: t.sees, width: "minmax(8rem, 1fr)", isWide: true, cell: (row) => (isLimited(row) ? t.seesSome : t.seesEverything) },
    { key: "by", title: t.by, width: "minmax(7rem, 1fr)", isWide: true, cell: (row) => row.invited_by },
    { key: "until", title: t.expires, width: "8.5rem", isWide: true, isRight: true, cell: (row) => <Time at={row.expires_at} /> },
    { key: "revoke", title: "", width: "7.5rem", isRight: true, cell: (row) => <Revoke invite={row} /> },
  ];
}

function Revoke({ invite }: { invite: Invite }) {
  const t = useTexts("team");
  const shell = useTexts("shell");
  const attempt = useAttempt();
  const again = useChange(() => data(api.POST("/api/team/invites", { body: { email: invite.email, role: invite.role, limited_to: invite.limited_to }, params: { header: { "Idempotency-Key": attempt.key(invite.id) } } })), TOUCHED);
  const revoke = useChange(() => api.DELETE("/api/team/invites/{id}", { params: { path: { id: invite.id } } }), TOUCHED, {
    onDone: () => toast.done(t.revoked(invite.email), { label: shell.undo, run: () => again.mutate(undefined) }),
  });
  return (
    <Button size="sm" icon={MailX} needs="team:write" busy={revoke.isPending} aria-label={t.revokeOf(invite.email)} onClick={() => revoke.mutate(undefined)}>
      {t.revoke}
    </Button>
  );
}

export function InviteDialog({ onClose }: { onClose: () => void }) {
  const t = useTexts("team");
  const shell = useTexts("shell");
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("operator");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [fault, setFault] = useState<string>();
  const [key, setKey] = useState(idempotencyKey);
  const replaced = useInviteTo(email);
  const sendsEmails = useSendsEmails();
  const invite = useChange(() => data(api.POST("/api/team/invites", { body: { email: email.trim(), role, limited_to: role === "admin" ? undefined : limitsOf(chosen) }, params: { header: { "Idempotency-Key": key } } })), TOUCHED, {
    onDone: (sent) => {
      toast.done(t.sent(sent.email));
      onClose();
    },
    onError: (error) => {
      setFault(byField(error, ["email"]).at.email ?? error.message);
      if (!error.isPassing) setKey(idempotencyKey()); // what is sent next is another request
      return true;
    },
  });
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.invite}
      description={sendsEmails === undefined ? t.inviteLead : `${t.inviteLead} ${sendsEmails ? t.inviteMailed : t.inviteUnmailed}`}
      actions={
        <>
          <Button onClick={onClose}>{shell.cancel}</Button>
          <Button look="primary" type="submit" form="invite" needs="team:write" busy={invite.isPending}>
            {t.send}
          </Button>
        </>
      }
    >
      <form
        id="invite"
        onSubmit={(event) => {
          event.preventDefault();
          if (!invite.isPending) invite.mutate(undefined);
        }}
      >
        <TextField
          label={t.email}
          type="email"
          required
          maxLength={254}
          autoComplete="off"
          error={fault}
          value={email}
          onChange={(event) => {
            setEmail(event.target.value);
            setFault(undefined);
          }}
        />
        {replaced && (
          <p role="status" className="mt-1 text-[13px] text-warn">
            {t.replaces(replaced.email, shell.roles[replaced.role] ?? replaced.role)}
          </p>
        )}
        <SelectField label={t.role} hint={t.roleHints[role]} choices={ROLES.map((each) => ({ value: each, label: shell.roles[each] ?? each }))} value={role} onChange={(event) => setRole(event.target.value as Role)} />
        {role !== "admin" && (
          <details className="mt-3">
            <summary className="cursor-pointer text-[13px] font-medium">
              {t.sees}: {chosen.size === 0 ? t.seesEverything : t.seesSome}
            </summary>
            <p className="mt-1 text-[13px] text-dim">{chosen.size === 0 ? t.seesEverythingLead : t.seesSomeLead}</p>
            <Seen chosen={chosen} onChange={setChosen} />
          </details>
        )}
        <p className="mt-3 text-[13px] text-dim">{t.inviteLink}</p>
        <Copy value={`${location.origin}/`} label={t.copyLink} />
      </form>
    </Dialog>
  );
}
