/** A server's settings, when it is added and when it is changed. */
import { useState } from "react";
import { useChange } from "@/api/acts";
import { type FieldError, api, data } from "@/api/client";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { SelectField, Switch, TextField } from "@/ui/field";
import { Pairs } from "@/ui/pairs";
import { childPath, isUnder, reasonAt } from "@/ui/schema-form/path";
import { toast } from "@/ui/toast";
import { type Auth, BLANK, type Draft, changesOf, draftOf, fieldsOf } from "./draft";
import { type Server, TOUCHED, patchServer } from "./queries";

const SHOWN = ["name", "url", "transport", "bearer_token", "oauth_token_url", "oauth_client_id", "oauth_client_secret", "oauth_scope", "headers_json", "timeout_ms"];

export function ServerForm({ server, onClose, onDone }: { server: Server | null; onClose: () => void; onDone?: (server: Server) => void }) {
  const t = useTexts("mcpServers");
  const shell = useTexts("shell");
  const attempt = useAttempt();
  const [base] = useState<Draft>(() => (server ? draftOf(server) : BLANK));
  const [draft, setDraft] = useState(base);
  const [errors, setErrors] = useState<readonly FieldError[]>([]);
  const changes = changesOf(base, draft);
  const save = useChange(() => (server ? patchServer(server.id, changes) : data(api.POST("/api/mcp-servers", { params: { header: { "Idempotency-Key": attempt.key(fieldsOf(draft)) } }, body: fieldsOf(draft) }))), TOUCHED, {
    onDone: (saved) => {
      toast.done(server ? shell.saved : t.added(saved.name));
      onClose();
      onDone?.(saved);
    },
    onError: (error) => {
      setErrors(error.details);
      return error.details.length > 0 && error.details.every(({ field }) => SHOWN.some((each) => isUnder(field, each)));
    },
  });
  const off = !draft.name.trim() ? t.nameFirst : server && Object.keys(changes).length === 0 ? t.nothingChanged : null;
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={server ? t.editTitle(server.name) : t.add}
      description={server ? undefined : t.addLead}
      size="md"
      actions={
        <>
          <Button onClick={onClose}>{shell.cancel}</Button>
          <Button look="primary" type="submit" form="mcp-server" needs="integrations:write" off={off} busy={save.isPending}>
            {server ? shell.save : t.addIt}
          </Button>
        </>
      }
    >
      <form
        id="mcp-server"
        noValidate
        className="space-y-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (!off && !save.isPending) save.mutate(undefined);
        }}
      >
        <ServerFields draft={draft} errors={errors} isStored={server !== null} onChange={(next) => setDraft({ ...draft, ...next })} />
      </form>
    </Dialog>
  );
}

interface FieldsProps {
  draft: Draft;
  errors: readonly FieldError[];
  isStored: boolean;
  onChange: (changes: Partial<Draft>) => void;
}

function ServerFields({ draft, errors, isStored, onChange }: FieldsProps) {
  const t = useTexts("mcpServers");
  return (
    <>
      <TextField label={t.name} hint={t.nameHint} maxLength={24} error={reasonAt(errors, "name")} value={draft.name} onChange={(event) => onChange({ name: event.target.value })} />
      <TextField label={t.url} hint={isStored ? t.urlHintStored : t.urlHint} type="url" maxLength={2048} error={reasonAt(errors, "url")} value={draft.url} onChange={(event) => onChange({ url: event.target.value })} />
      <div className="grid gap-x-3 sm:grid-cols-2">
        <SelectField label={t.transport} error={reasonAt(errors, "transport")} value={draft.transport} choices={(["streamable_http", "sse"] as const).map((each) => ({ value: each, label: t.transports[each] }))} onChange={(event) => onChange({ transport: event.target.value as Draft["transport"] })} />
        <SelectField label={t.auth} value={draft.auth} choices={(["none", "bearer", "oauth"] as const).map((each) => ({ value: each, label: t.auths[each] }))} onChange={(event) => onChange({ auth: event.target.value as Auth })} />
      </div>
      <AuthFields draft={draft} errors={errors} isStored={isStored} onChange={onChange} />
      <Pairs label={t.headers} hint={isStored ? t.sealedHint : t.headersHint} pairs={draft.headers} addLabel={t.addHeader} namePlaceholder="X-Team" errorOf={(name) => reasonAt(errors, name === "" ? "headers_json" : childPath("headers_json", name))} onChange={(headers) => onChange({ headers })} />
      <TextField label={t.timeout} hint={t.timeoutHint} type="number" min={500} max={30_000} step={100} error={reasonAt(errors, "timeout_ms")} value={draft.timeout_ms} onChange={(event) => onChange({ timeout_ms: Math.trunc(Number(event.target.value)) || 0 })} />
      <div>
        <Switch label={t.requireApproval} hint={t.requireApprovalHint} checked={draft.require_approval_default} onChange={(event) => onChange({ require_approval_default: event.target.checked })} />
        <Switch label={t.enabled} hint={t.enabledHint} checked={draft.enabled} onChange={(event) => onChange({ enabled: event.target.checked })} />
      </div>
    </>
  );
}

function AuthFields({ draft, errors, isStored, onChange }: FieldsProps) {
  const t = useTexts("mcpServers");
  if (draft.auth === "none") return null;
  const secret = { type: "password", maxLength: 4000, autoComplete: "new-password", hint: isStored ? t.sealedHint : t.sealed } as const;
  if (draft.auth === "bearer") return <TextField label={t.bearer} {...secret} error={reasonAt(errors, "bearer_token")} value={draft.bearer_token} onChange={(event) => onChange({ bearer_token: event.target.value })} />;
  return (
    <div className="grid gap-3 sm:grid-cols-2">
      <div className="sm:col-span-full">
        <TextField label={t.tokenUrl} hint={t.tokenUrlHint} type="url" maxLength={2048} error={reasonAt(errors, "oauth_token_url")} value={draft.oauth_token_url} onChange={(event) => onChange({ oauth_token_url: event.target.value })} />
      </div>
      <TextField label={t.clientId} maxLength={400} autoComplete="off" error={reasonAt(errors, "oauth_client_id")} value={draft.oauth_client_id} onChange={(event) => onChange({ oauth_client_id: event.target.value })} />
      <TextField label={t.clientSecret} {...secret} error={reasonAt(errors, "oauth_client_secret")} value={draft.oauth_client_secret} onChange={(event) => onChange({ oauth_client_secret: event.target.value })} />
      <TextField label={t.scope} maxLength={400} autoComplete="off" error={reasonAt(errors, "oauth_scope")} value={draft.oauth_scope} onChange={(event) => onChange({ oauth_scope: event.target.value })} />
    </div>
  );
}
