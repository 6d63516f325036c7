/** The decision: approve, with other arguments, or deny with a reason. Each is sent once, however often one presses. */
import { Check, Pencil, X } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { type FieldError, api, data } from "@/api/client";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { Button } from "@/ui/button";
import { JsonEditor } from "@/ui/code/lazy";
import { TextField } from "@/ui/field";
import { Loaded } from "@/ui/layout";
import { SchemaForm } from "@/ui/schema-form/schema-form";
import { type JsonSchema, isObject, shapeOf } from "@/ui/schema-form/schema";
import { type Approval, useApproval } from "./queries";

type Arguments = Record<string, unknown>;

export default function Decide({ approval, onDecided }: { approval: Approval; onDecided?: (approval: Approval) => void }) {
  const t = useTexts("approvals");
  const [mode, setMode] = useState<"ask" | "edit" | "deny">("ask");
  const [errors, setErrors] = useState<readonly FieldError[]>([]);
  const attempt = useAttempt();
  const touches = [["approvals"], ["dashboard"], ...(approval.call_id ? [["calls", approval.call_id]] : [])];
  const approve = useChange(
    (body: { arguments?: Arguments }) => data(api.POST("/api/approvals/{id}/approve", { body: body as never, params: { path: { id: approval.id }, header: { "Idempotency-Key": attempt.key(["approve", body]) } } })),
    touches,
    {
      ...(onDecided ? { onDone: onDecided } : {}),
      onError: (error) => {
        setErrors(error.details);
        return error.details.length > 0 && error.details.every((each) => each.field.startsWith("arguments"));
      },
    },
  );
  const deny = useChange(
    (reason: string) => data(api.POST("/api/approvals/{id}/deny", { body: reason ? { reason } : {}, params: { path: { id: approval.id }, header: { "Idempotency-Key": attempt.key(["deny", reason]) } } })),
    touches,
    onDecided ? { onDone: onDecided } : {},
  );
  if (mode === "edit") return <Edit approval={approval} errors={errors} isBusy={approve.isPending} onBack={() => setMode("ask")} onApprove={(value) => approve.mutate({ arguments: value })} />;
  if (mode === "deny") return <Deny isBusy={deny.isPending} onBack={() => setMode("ask")} onDeny={(reason) => deny.mutate(reason)} />;
  return (
    <div className="flex flex-wrap gap-2">
      <Button look="primary" icon={Check} needs="approvals:write" busy={approve.isPending} data-decide="approve" onClick={() => approve.mutate({})}>
        {t.approve}
      </Button>
      <Button icon={Pencil} needs="approvals:write" data-decide="edit" onClick={() => setMode("edit")}>
        {t.editFirst}
      </Button>
      <Button icon={X} needs="approvals:write" data-decide="deny" onClick={() => setMode("deny")}>
        {t.deny}
      </Button>
    </div>
  );
}

interface EditProps {
  approval: Approval;
  errors: readonly FieldError[];
  isBusy: boolean;
  onBack: () => void;
  onApprove: (value: Arguments) => void;
}

/** The arguments as a form by the tool's schema, or as JSON. */
function Edit(props: EditProps) {
  const query = useApproval(props.approval.id);
  return <Loaded query={query}>{(whole) => <EditForm {...props} schema={isObject(whole.schema) ? (whole.schema as JsonSchema) : {}} start={isObject(whole.arguments) ? whole.arguments : {}} />}</Loaded>;
}

function EditForm({ schema, start, errors, isBusy, onBack, onApprove }: EditProps & { schema: JsonSchema; start: Arguments }) {
  const t = useTexts("approvals");
  const shell = useTexts("shell");
  const hasForm = shapeOf(schema) === "object" && Object.keys(schema.properties ?? {}).length > 0;
  const [isJson, setJson] = useState(!hasForm);
  const [value, setValue] = useState(start);
  const [text, setText] = useState(() => JSON.stringify(start, null, 2));
  const typed = isJson ? objectOf(text) : value;
  const elsewhere = errors.filter((each) => !isJson && !(each.field in fieldsOf(schema)));
  const change = (): void => {
    if (isJson && typed) setValue(typed);
    else setText(JSON.stringify(value, null, 2));
    setJson(!isJson);
  };
  return (
    <div className="space-y-3" role="group" aria-label={t.arguments}>
      {isJson ? (
        <div className="h-56">
          <JsonEditor value={text} label={t.arguments} errors={errors} onChange={setText} />
        </div>
      ) : (
        <SchemaForm schema={schema} value={value} path="arguments" label={t.arguments} errors={errors} onChange={(next) => setValue(isObject(next) ? next : {})} />
      )}
      {(isJson ? errors : elsewhere).map((each) => (
        <p key={each.field} role="alert" className="text-xs font-medium text-bad">
          {each.field.replace(/^arguments\.?/, "")} {each.reason}
        </p>
      ))}
      <p className="text-xs text-dim">{t.argumentsHint}</p>
      <div className="flex flex-wrap gap-2">
        <Button look="primary" icon={Check} needs="approvals:write" busy={isBusy} off={typed ? null : t.noObject} onClick={() => typed && onApprove(typed)}>
          {t.approveSo}
        </Button>
        <Button onClick={onBack}>{shell.cancel}</Button>
        {hasForm && (
          <Button look="quiet" off={typed ? null : t.noObject} onClick={change}>
            {isJson ? t.asForm : t.asJson}
          </Button>
        )}
      </div>
    </div>
  );
}

function fieldsOf(schema: JsonSchema): Record<string, JsonSchema> {
  return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, each]) => [`arguments.${name}`, each]));
}

function objectOf(text: string): Arguments | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function Deny({ isBusy, onBack, onDeny }: { isBusy: boolean; onBack: () => void; onDeny: (reason: string) => void }) {
  const t = useTexts("approvals");
  const shell = useTexts("shell");
  const [reason, setReason] = useState("");
  return (
    <form
      className="max-w-xl space-y-2"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isBusy) onDeny(reason.trim());
      }}
    >
      <TextField autoFocus label={t.reason} hint={t.reasonHint} maxLength={500} value={reason} onChange={(event) => setReason(event.target.value)} />
      <div className="flex gap-2">
        <Button look="danger" type="submit" icon={X} needs="approvals:write" busy={isBusy}>
          {t.deny}
        </Button>
        <Button onClick={onBack}>{shell.cancel}</Button>
      </div>
    </form>
  );
}
