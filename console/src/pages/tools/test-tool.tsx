/** A tool's request, sent now with sample arguments: what went out, what came back, what an agent would get. */
import { Play } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { type FieldError, type Schemas, api, data, idempotencyKey } from "@/api/client";
import { inE164 } from "@/api/phones";
import { useTexts } from "@/i18n";
import { count } from "@/lib/format";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { Code } from "@/ui/json";
import { Badge, Card } from "@/ui/layout";
import { SchemaForm } from "@/ui/schema-form/schema-form";
import { reasonAt } from "@/ui/schema-form/path";
import { isObject } from "@/ui/schema-form/schema";
import type { JsonSchema } from "@/ui/schema-form/schema";
import { sampleOf } from "./draft";
import { type Tool, useIsAdmin } from "./queries";

export function TestTool({ tool, isDirty }: { tool: Tool; isDirty: boolean }) {
  const t = useTexts("tools");
  const isAdmin = useIsAdmin();
  const [given, setGiven] = useState<Record<string, unknown>>(() => sampleOf(tool.parameters_json));
  const [phone, setPhone] = useState("");
  const [errors, setErrors] = useState<readonly FieldError[]>([]);
  const test = useChange(
    async () =>
      data(
        api.POST("/api/tools/{id}/test", {
          params: { path: { id: tool.id }, header: { "Idempotency-Key": idempotencyKey() } },
          body: { arguments_json: given, ...(phone.trim() ? { phone_e164: await inE164(phone, "phone_e164") } : {}) } as Schemas["TestToolRequestInput"],
        }),
      ),
    [["tool-executions"]],
    {
      onDone: () => setErrors([]),
      onError: (error) => {
        setErrors(error.details);
        return error.details.length > 0;
      },
    },
  );
  const schema = tool.parameters_json as JsonSchema | null;
  const hasArguments = schema !== null && Object.keys(schema.properties ?? {}).length > 0;
  const stray = errors.filter((each) => each.field !== "phone_e164" && !each.field.startsWith("arguments_json."));
  if (!isAdmin) return null;
  return (
    <div className="space-y-4 lg:sticky lg:top-4">
      <Card title={t.test}>
        <p className="mb-3 text-xs text-dim">{isDirty ? t.testSaved(tool.version) : t.testLead}</p>
        {hasArguments ? (
          <SchemaForm schema={schema.type ? schema : { ...schema, type: "object" }} value={given} path="arguments_json" label={t.arguments} errors={errors} onChange={(next) => setGiven(isObject(next) ? next : {})} />
        ) : (
          <p className="mb-2 text-dim">{t.noArguments}</p>
        )}
        <div className="mt-3">
          <TextField label={t.testPhone} hint={t.testPhoneHint} type="tel" placeholder="+13175550199" maxLength={100} error={reasonAt(errors, "phone_e164")} value={phone} onChange={(event) => setPhone(event.target.value)} />
        </div>
        {stray.length > 0 && (
          <ul role="alert" className="mt-2 text-xs font-medium text-bad">
            {stray.map((each) => (
              <li key={each.field + each.reason}>{`${each.field} ${each.reason}`}</li>
            ))}
          </ul>
        )}
        <div className="mt-3">
          <Button look="primary" icon={Play} needs="integrations:write" busy={test.isPending} onClick={() => test.mutate(undefined)}>
            {t.run}
          </Button>
        </div>
      </Card>
      {test.data && <Result of={test.data} />}
    </div>
  );
}

function Result({ of }: { of: Schemas["TestTool"] }) {
  const t = useTexts("tools");
  return (
    <Card
      title={t.result}
      actions={
        <>
          <span className="tabular text-xs text-dim">{t.took(count(of.duration_ms), of.attempts)}</span>
          <Badge tone={of.ok ? "good" : "bad"}>{of.ok ? t.statuses.ok : t.statuses.failed}</Badge>
        </>
      }
    >
      <div role="status" className="space-y-3">
        {of.error && <p className="font-medium text-bad">{of.error}</p>}
        <Part title={t.agentGets} value={of.text ?? of.result_json} />
        {of.request && <Part title={t.sent} value={`${of.request.method} ${of.request.url}\n${headersOf(of.request.headers_json)}${of.request.body ? `\n${of.request.body}` : ""}`} />}
        {of.response && <Part title={`${t.answer} · HTTP ${of.response.status}${of.response.truncated ? ` · ${t.cut}` : ""}`} value={of.response.body} />}
      </div>
    </Card>
  );
}

function headersOf(headers: unknown): string {
  return isObject(headers) ? Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}\n`).join("") : "";
}

function Part({ title, value }: { title: string; value: unknown }) {
  return (
    <section className="space-y-1">
      <h3 className="text-[13px]">{title}</h3>
      <Code label={title} value={value} />
    </section>
  );
}
