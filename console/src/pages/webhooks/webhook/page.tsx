/** One webhook: how it is doing, what it was sent, and its settings. */
import { useNavigate } from "@tanstack/react-router";
import { AlertTriangle, Ban, KeyRound, Power, RotateCcw, Send, Trash2 } from "lucide-react";
import { type ReactNode, useMemo, useState } from "react";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { useCan } from "@/api/me";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Loaded, Page, Time } from "@/ui/layout";
import { Menu } from "@/ui/menu";
import { Tabs } from "@/ui/tabs";
import { toast } from "@/ui/toast";
import { StatusBadge } from "../labels";
import { type Webhook, useWebhook } from "../queries";
import { webhookRoute } from "../route";
import { Deliveries } from "./deliveries";
import { Settings } from "./settings";
import { DeleteWebhook, Replay, Rotate } from "./dialogs";

type Asked = "rotate" | "replay" | "delete";

export function WebhookPage() {
  const t = useTexts("webhooks");
  const { id } = webhookRoute.useParams();
  const { tab } = webhookRoute.useSearch();
  const query = useWebhook(id);
  const [asked, setAsked] = useState<Asked>();
  const webhook = query.data;
  return (
    <Page
      title={webhook ? webhook.description || t.webhook : t.webhook}
      back={{ to: "/webhooks", label: t.title }}
      isFlush
      lead={
        webhook && (
          <span className="flex min-w-0 flex-wrap items-center gap-x-3 gap-y-1">
            <span className="min-w-0 font-mono text-[13px] break-all">{webhook.url}</span>
            <StatusBadge of={webhook} />
          </span>
        )
      }
      actions={webhook && <Actions webhook={webhook} onAsk={setAsked} />}
    >
      {webhook && <Notice webhook={webhook} onReplay={() => setAsked("replay")} />}
      <Tabs
        label={t.webhook}
        tabs={[
          { label: t.deliveries, isActive: !tab, link: { to: "/webhooks/$id", params: { id }, search: {} } },
          { label: t.settings, isActive: tab === "settings", link: { to: "/webhooks/$id", params: { id }, search: { tab: "settings" } } },
        ]}
      />
      {tab === "settings" ? (
        <div className="px-6 py-4 max-md:px-4">
          <Loaded query={query}>{(found) => <Settings key={found.id} webhook={found} />}</Loaded>
        </div>
      ) : (
        <Deliveries id={id} onTest={webhook?.status === "disabled" ? undefined : <TestButton id={id} />} />
      )}
      {webhook && asked === "rotate" && <Rotate webhook={webhook} onClose={() => setAsked(undefined)} />}
      {webhook && asked === "replay" && <Replay webhook={webhook} onClose={() => setAsked(undefined)} />}
      {webhook && asked === "delete" && <DeleteWebhook webhook={webhook} onClose={() => setAsked(undefined)} />}
    </Page>
  );
}

/** Each press is a test of its own. */
function useTest(id: string) {
  const t = useTexts("webhooks");
  const navigate = useNavigate();
  return useChange(() => data(api.POST("/api/webhooks/{id}/test", { body: {}, params: { path: { id }, header: { "Idempotency-Key": idempotencyKey() } } })), [["webhooks", id]], {
    onDone: (delivery) => {
      toast.done(t.testSent);
      void navigate({ to: "/webhooks/$id", params: { id }, search: { delivery: delivery.id }, resetScroll: false });
    },
  });
}

function TestButton({ id }: { id: string }) {
  const t = useTexts("webhooks");
  const test = useTest(id);
  return (
    <Button look="primary" icon={Send} needs="webhooks:write" busy={test.isPending} onClick={() => test.mutate(undefined)}>
      {t.test}
    </Button>
  );
}

function useEnable(webhook: Webhook) {
  const t = useTexts("webhooks");
  const back = useChange((enabled: boolean) => data(api.PATCH("/api/webhooks/{id}", { params: { path: { id: webhook.id } }, body: { enabled } })), [["webhooks"]]);
  return useChange((enabled: boolean) => data(api.PATCH("/api/webhooks/{id}", { params: { path: { id: webhook.id } }, body: { enabled } })), [["webhooks"]], {
    onDone: (_, enabled) => toast.done(enabled ? t.enabledNow : t.disabledNow, enabled ? undefined : { label: t.undo, run: () => back.mutate(true) }),
  });
}

function Actions({ webhook, onAsk }: { webhook: Webhook; onAsk: (asked: Asked) => void }) {
  const t = useTexts("webhooks");
  const mayWrite = useCan("webhooks:write");
  const { mutate: test, isPending: isTesting } = useTest(webhook.id);
  const { mutate: enable, isPending: isEnabling } = useEnable(webhook);
  const isOn = webhook.enabled && webhook.status !== "disabled";
  const commands = useMemo<Command[]>(
    () =>
      mayWrite
        ? [
            ...(isOn ? [{ id: "webhook test", label: t.test, keys: "t", run: () => test(undefined) }] : []),
            { id: "webhook replay", label: t.replay, run: () => onAsk("replay") },
            { id: "webhook rotate", label: t.rotate, run: () => onAsk("rotate") },
          ]
        : [],
    [t, mayWrite, isOn, test, onAsk],
  );
  useCommands(commands);
  return (
    <>
      <Button icon={Send} needs="webhooks:write" off={isOn ? null : t.enableFirst} busy={isTesting} onClick={() => test(undefined)}>
        {t.test}
      </Button>
      <Button icon={isOn ? Ban : Power} look={isOn ? "plain" : "primary"} needs="webhooks:write" busy={isEnabling} onClick={() => enable(!isOn)}>
        {isOn ? t.disable : t.enable}
      </Button>
      {mayWrite && (
        <Menu
          label={t.more}
          items={[
            { label: t.replay, icon: RotateCcw, onSelect: () => onAsk("replay"), off: isOn ? null : t.enableFirst },
            { label: t.rotate, icon: KeyRound, onSelect: () => onAsk("rotate") },
            { label: t.delete, icon: Trash2, onSelect: () => onAsk("delete"), isDanger: true },
          ]}
        />
      )}
    </>
  );
}

/** Why nothing is sent, or soon won't be, and what to do. */
function Notice({ webhook, onReplay }: { webhook: Webhook; onReplay: () => void }) {
  const t = useTexts("webhooks");
  if (webhook.status === "ok") return webhook.previous_secret_expires_at ? <Band tone="info">{t.twoSecrets} <Time at={webhook.previous_secret_expires_at} /></Band> : null;
  if (webhook.status === "failing")
    return (
      <Band tone="warn">
        {t.failingSince} <Time at={webhook.failing_since} />
        {webhook.disables_at && (
          <>
            {" "}
            {t.disablesAt} <Time at={webhook.disables_at} />
          </>
        )}
      </Band>
    );
  return (
    <Band tone={webhook.disabled_reason === "person" ? "plain" : "bad"}>
      {t.disabledReasons[webhook.disabled_reason ?? "person"]} <Time at={webhook.disabled_at} />
      {". "}
      {t.disabledLead}{" "}
      <button type="button" className="rounded font-medium underline" onClick={onReplay}>
        {t.replay}
      </button>
    </Band>
  );
}

const BANDS = { plain: "bg-sunken text-ink", info: "bg-info-soft text-info", warn: "bg-warn-soft text-warn", bad: "bg-bad-soft text-bad" };

function Band({ tone, children }: { tone: keyof typeof BANDS; children: ReactNode }) {
  return (
    <div role="status" className={`mx-6 mb-3 flex items-start gap-2 rounded-control px-3 py-2 max-md:mx-4 ${BANDS[tone]}`}>
      <AlertTriangle size={16} aria-hidden className="mt-0.5 shrink-0" />
      <p className="min-w-0">{children}</p>
    </div>
  );
}
