/** A new key: what it may, and then its secret, once. */
import { useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data, idempotencyKey } from "@/api/client";
import { can, useMe, useZone } from "@/api/me";
import { useTexts } from "@/i18n";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { Copy } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import { SelectField, Switch, TextField } from "@/ui/field";
import { AREAS, type Access, type Chosen, endOfDay, scopesOf } from "./scopes";

const ROLES: readonly Schemas["Role"][] = ["viewer", "operator", "admin"];
const FIELDS = ["name", "role", "scopes", "expires_at"] as const;

export function CreateKey({ onClose }: { onClose: () => void }) {
  const t = useTexts("apiKeys");
  const shell = useTexts("shell");
  const zone = useZone();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Schemas["Role"]>("operator");
  const [isAll, setAll] = useState(false);
  const [chosen, setChosen] = useState<Chosen>({});
  const [isSiteAdmin, setSiteAdmin] = useState(false);
  const [until, setUntil] = useState("");
  const [faults, setFaults] = useState<Partial<Record<(typeof FIELDS)[number], string>>>({});
  const [secret, setSecret] = useState<string | null>(null);
  const [key, setKey] = useState(idempotencyKey);
  const isSite = can(useMe(), "site:admin");
  const scopes = isAll ? ["*", ...(isSiteAdmin ? ["site:admin"] : [])] : scopesOf(chosen, isSiteAdmin);
  const create = useChange(
    () =>
      data(
        api.POST("/api/api-keys", {
          body: { name: name.trim(), role, scopes, expires_at: until ? endOfDay(until, zone) : null },
          params: { header: { "Idempotency-Key": key } },
        }),
      ),
    [["api-keys"]],
    {
      onDone: (made) => setSecret(made.secret),
      onError: (error) => {
        if (!error.isPassing) setKey(idempotencyKey());
        const { at, rest } = byField(error, FIELDS);
        setFaults(at);
        return !rest;
      },
    },
  );
  if (secret !== null) return <Secret secret={secret} onClose={onClose} />;
  const off = !name.trim() ? t.nameFirst : scopes.length === 0 ? t.areaFirst : null;
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.create}
      size="md"
      actions={
        <>
          <Button onClick={onClose}>{shell.cancel}</Button>
          <Button look="primary" type="submit" form="create-key" needs="team:write" off={off} busy={create.isPending}>
            {t.createIt}
          </Button>
        </>
      }
    >
      <form
        id="create-key"
        className="space-y-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (!off && !create.isPending) create.mutate(undefined);
        }}
      >
        <TextField label={t.name} hint={t.nameHint} error={faults.name} maxLength={120} value={name} onChange={(event) => setName(event.target.value)} />
        <div className="grid gap-3 sm:grid-cols-2">
          <SelectField label={t.role} error={faults.role} choices={ROLES.map((each) => ({ value: each, label: shell.roles[each] ?? each }))} value={role} onChange={(event) => setRole(event.target.value as Schemas["Role"])} />
          <TextField label={t.expires} hint={t.expiresHint} type="date" error={faults.expires_at} value={until} onChange={(event) => setUntil(event.target.value)} />
        </div>
        <Switch label={t.everything} hint={t.everythingHint} checked={isAll} onChange={(event) => setAll(event.target.checked)} />
        {!isAll && <Areas chosen={chosen} onChange={setChosen} />}
        {isSite && <Switch label={t.siteAdmin} checked={isSiteAdmin} onChange={(event) => setSiteAdmin(event.target.checked)} />}
        {faults.scopes && (
          <p role="alert" className="text-xs font-medium text-bad">
            {faults.scopes}
          </p>
        )}
      </form>
    </Dialog>
  );
}

function Areas({ chosen, onChange }: { chosen: Chosen; onChange: (chosen: Chosen) => void }) {
  const t = useTexts("apiKeys");
  const names: Record<Access, string> = { none: t.noAccess, read: t.read, write: t.write };
  return (
    <fieldset>
      <legend className="mb-1 text-[13px] font-medium">{t.scopes}</legend>
      <div className="grid gap-x-6 gap-y-1 sm:grid-cols-2">
        {AREAS.map((area) => (
          <label key={area} className="flex min-h-9 items-center justify-between gap-3">
            <span className="inline-block min-w-0 first-letter:uppercase">{t.areas[area]}</span>
            <select className="h-8 rounded-control border border-line-strong bg-surface px-1.5 text-[13px]" value={chosen[area] ?? "none"} onChange={(event) => onChange({ ...chosen, [area]: event.target.value as Access })}>
              {(["none", "read", "write"] as const).map((each) => (
                <option key={each} value={each}>
                  {names[each]}
                </option>
              ))}
            </select>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function Secret({ secret, onClose }: { secret: string; onClose: () => void }) {
  const t = useTexts("apiKeys");
  return (
    <Dialog
      isOpen
      isOnce
      onClose={onClose}
      title={t.secretTitle}
      description={t.secretLead}
      size="md"
      actions={
        <Button look="primary" onClick={onClose}>
          {t.secretDone}
        </Button>
      }
    >
      <Copy value={secret} isSecret />
      <p className="mt-4 mb-1 text-[13px] font-medium">{t.curl}</p>
      <Copy value={`curl -H "Authorization: Bearer $KEY" ${location.origin}/api/me`} />
    </Dialog>
  );
}
