/** A connector's settings: the same fields when it is made and when it is changed. */
import type { FieldErrors, UseFormRegister } from "react-hook-form";
import type { Schemas } from "@/api/client";
import { useTexts } from "@/i18n";
import { Switch, TextField } from "@/ui/field";
import type { Connector } from "./queries";

export interface Values {
  name: string;
  base_url: string;
  timeout_ms: number;
  create_contacts: boolean;
  sync_calls: boolean;
  sync_conversations: boolean;
  enabled: boolean;
}

export const FIELDS = ["name", "base_url", "timeout_ms", "create_contacts", "sync_calls", "sync_conversations", "enabled"] as const satisfies (keyof Schemas["CrmConnectorInput"])[];
export const BLANK: Values = { name: "", base_url: "", timeout_ms: 4000, create_contacts: false, sync_calls: true, sync_conversations: false, enabled: true };

export function valuesOf(connector: Connector): Values {
  const { name, base_url, timeout_ms, create_contacts, sync_calls, sync_conversations, enabled } = connector;
  return { name, base_url, timeout_ms, create_contacts, sync_calls, sync_conversations, enabled };
}

export function ConnectorFields({ register, errors, isOff }: { register: UseFormRegister<Values>; errors: FieldErrors<Values>; isOff: boolean }) {
  const t = useTexts("crm");
  return (
    <div className="space-y-3">
      <TextField label={t.name} hint={t.nameHint} maxLength={120} disabled={isOff} error={errors.name?.message} {...register("name")} />
      <TextField label={t.baseUrl} hint={t.baseUrlHint} type="url" placeholder="https://crm.example.com/hum" maxLength={2000} disabled={isOff} error={errors.base_url?.message} {...register("base_url")} />
      <TextField label={t.timeout} hint={t.timeoutHint} type="number" min={100} max={30_000} step={100} disabled={isOff} error={errors.timeout_ms?.message} {...register("timeout_ms", { valueAsNumber: true })} />
      <div>
        <Switch label={t.createContacts} hint={t.createContactsHint} disabled={isOff} {...register("create_contacts")} />
        <Switch label={t.syncCalls} hint={t.syncCallsHint} disabled={isOff} {...register("sync_calls")} />
        <Switch label={t.syncConversations} hint={t.syncConversationsHint} disabled={isOff} {...register("sync_conversations")} />
        <Switch label={t.enabled} hint={t.enabledHint} disabled={isOff} {...register("enabled")} />
      </div>
    </div>
  );
}
