import { UserMinus } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { meQuery, useMe } from "@/api/me";
import { useTexts } from "@/i18n";
import { Button, IconButton } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { SelectField, Switch } from "@/ui/field";
import { Time } from "@/ui/layout";
import { type Column, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { type Member, ROLES, type Role, useMembers } from "./queries";
import { Sees, isLimited } from "./sees";

const nameOf = (member: Member): string => member.name || member.email;

export function Members() {
  const t = useTexts("team");
  const [removed, setRemoved] = useState<Member | null>(null);
  const [seeing, setSeeing] = useState<Member | null>(null);
  const columns = useColumns(setRemoved, setSeeing);
  return (
    <>
      <Table label={t.members} query={useMembers()} columns={columns} rowPx={52} empty={null} />
      {seeing && <Sees member={seeing} onClose={() => setSeeing(null)} />}
      {removed && <Remove member={removed} onClose={() => setRemoved(null)} />}
    </>
  );
}

function useColumns(onRemove: (member: Member) => void, onSees: (member: Member) => void): Column<Member>[] {
  const t = useTexts("team");
  const me = useMe();
  const isAdmin = me.role === "admin";
  return [
    {
      key: "person",
      title: t.person,
      width: "minmax(7.5rem, 2fr)",
      cell: (row) => (
        <>
          <span className="block truncate font-medium">
            {nameOf(row)}
            {row.user_id === me.user?.id && <span className="font-normal text-dim"> ({t.you})</span>}
          </span>
          {row.name && <span className="block truncate text-xs text-dim">{row.email}</span>}
        </>
      ),
    },
    { key: "role", title: t.role, width: "minmax(10rem, 11rem)", narrowWidth: "11rem", cell: (row) => <RoleCell member={row} /> },
    ...(isAdmin
      ? [{ key: "sees", title: t.sees, width: "minmax(8rem, 1fr)", cell: (row: Member) => (row.role === "admin" ? t.seesEverything : <SeesButton member={row} onOpen={onSees} />) }]
      : []),
    { key: "hint", title: "", width: "minmax(8rem, 2fr)", isWide: true, cell: (row) => <span className="text-xs text-dim">{t.roleHints[row.role]}</span> },
    { key: "joined", title: t.joined, width: "8.5rem", isWide: true, isRight: true, cell: (row) => <Time at={row.joined_at} /> },
    ...(isAdmin
      ? [{ key: "remove", title: "", width: "2.75rem", isRight: true, cell: (row: Member) => <IconButton icon={UserMinus} label={t.removeOf(nameOf(row))} needs="team:write" onClick={() => onRemove(row)} /> }]
      : []),
  ];
}

function SeesButton({ member, onOpen }: { member: Member; onOpen: (member: Member) => void }) {
  const t = useTexts("team");
  const seen = isLimited(member) ? t.seesSome : t.seesEverything;
  return (
    <Button look="quiet" size="sm" needs="team:write" aria-label={`${t.seesOf(nameOf(member))}: ${seen}`} onClick={() => onOpen(member)}>
      {seen}
    </Button>
  );
}

/** One's own role as an admin is given up only after a question. */
function RoleCell({ member }: { member: Member }) {
  const t = useTexts("team");
  const shell = useTexts("shell");
  const me = useMe();
  const [asked, setAsked] = useState<Role | null>(null);
  const isSelf = member.user_id === me.user?.id;
  const change = useChange(
    (role: Role) => data(api.PATCH("/api/team/{user_id}", { params: { path: { user_id: member.user_id } }, body: { role } })),
    [["team"], ...(isSelf ? [meQuery.queryKey] : [])],
    {
      onDone: (_, role) => {
        setAsked(null);
        const before = member.role;
        const undo = { label: shell.undo, run: () => change.mutate(before) };
        toast.done(t.changed(nameOf(member), (shell.roles[role] ?? role).toLowerCase()), isSelf ? undefined : undo);
      },
    },
  );
  if (me.role !== "admin") return shell.roles[member.role];
  return (
    <>
      <SelectField
        isBare
        label={t.roleOf(nameOf(member))}
        value={change.isPending ? change.variables : member.role}
        disabled={change.isPending}
        choices={ROLES.map((each) => ({ value: each, label: shell.roles[each] ?? each }))}
        onChange={(event) => {
          const role = event.target.value as Role;
          if (isSelf) setAsked(role);
          else change.mutate(role);
        }}
      />
      {asked && (
        <Confirm isOpen onClose={() => setAsked(null)} title={t.ownTitle} verb={t.ownVerb} isBusy={change.isPending} onConfirm={() => change.mutate(asked)}>
          <p>{t.ownLead}</p>
        </Confirm>
      )}
    </>
  );
}

function Remove({ member, onClose }: { member: Member; onClose: () => void }) {
  const t = useTexts("team");
  const [keepsKeys, setKeepsKeys] = useState(true);
  const remove = useChange(
    () => api.DELETE("/api/team/{user_id}", { params: { path: { user_id: member.user_id }, query: { keep_api_keys: keepsKeys } } }),
    [["team"], ["api-keys"], ["billing"]],
    {
      onDone: () => {
        toast.done(t.removed(nameOf(member)));
        onClose();
      },
    },
  );
  return (
    <Confirm isOpen onClose={onClose} title={t.removeTitle(nameOf(member))} verb={t.remove} needs="team:write" isBusy={remove.isPending} onConfirm={() => remove.mutate(undefined)}>
      <p className="mb-2">{t.removeLead}</p>
      <Switch label={t.keepKeys} hint={t.keepKeysHint} checked={keepsKeys} onChange={(event) => setKeepsKeys(event.target.checked)} />
    </Confirm>
  );
}
