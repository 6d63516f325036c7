/** One trigger: what it received, and its settings. */
import { KeyRound, Link2, LockOpen, Power, Trash2 } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Loaded, Page } from "@/ui/layout";
import { Menu } from "@/ui/menu";
import { Tabs } from "@/ui/tabs";
import { toast } from "@/ui/toast";
import { Deliveries } from "./deliveries";
import { DeleteTrigger, RemoveSecret, RotateSecret, RotateToken } from "./dialogs";
import { type Trigger, useTrigger } from "./queries";
import { triggerRoute } from "./route";
import { Settings } from "./settings";
import { OnBadge } from "./triggers";

type Asked = "token" | "secret" | "unsign" | "delete";

export function TriggerPage() {
  const t = useTexts("triggers");
  const { id } = triggerRoute.useParams();
  const { tab } = triggerRoute.useSearch();
  const query = useTrigger(id);
  const [asked, setAsked] = useState<Asked>();
  const trigger = query.data;
  const close = (): void => setAsked(undefined);
  return (
    <Page
      title={trigger?.name ?? t.trigger}
      back={{ to: "/triggers", label: t.title }}
      isFlush
      lead={
        trigger && (
          <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <code className="font-mono text-[13px]">{trigger.event}</code>
            <OnBadge of={trigger} />
            <span className="text-[13px]">{trigger.signed ? t.isSigned : t.isUnsigned}</span>
          </span>
        )
      }
      actions={trigger && <Actions trigger={trigger} onAsk={setAsked} />}
    >
      <Tabs
        label={t.trigger}
        tabs={[
          { label: t.received, isActive: !tab, link: { to: "/triggers/$id", params: { id }, search: {} } },
          { label: t.settings, isActive: tab === "settings", link: { to: "/triggers/$id", params: { id }, search: { tab: "settings" } } },
        ]}
      />
      {tab === "settings" ? (
        <div className="px-6 py-4 max-md:px-4">
          <Loaded query={query}>{(found) => <Settings key={found.id} trigger={found} />}</Loaded>
        </div>
      ) : (
        <Deliveries id={id} />
      )}
      {trigger && asked === "token" && <RotateToken trigger={trigger} onClose={close} />}
      {trigger && asked === "secret" && <RotateSecret trigger={trigger} onClose={close} />}
      {trigger && asked === "unsign" && <RemoveSecret trigger={trigger} onClose={close} />}
      {trigger && asked === "delete" && <DeleteTrigger trigger={trigger} onClose={close} />}
    </Page>
  );
}

function Actions({ trigger, onAsk }: { trigger: Trigger; onAsk: (asked: Asked) => void }) {
  const t = useTexts("triggers");
  const mayWrite = useCan("integrations:write");
  const change = (enabled: boolean) => data(api.PATCH("/api/triggers/{id}", { params: { path: { id: trigger.id } }, body: { enabled } }));
  const back = useChange(change, [["triggers"]]);
  const enable = useChange(change, [["triggers"]], {
    onDone: (_, enabled) => toast.done(enabled ? t.onNow : t.offNow, { label: t.undo, run: () => back.mutate(!enabled) }),
  });
  return (
    <>
      <Button icon={Power} needs="integrations:write" busy={enable.isPending} onClick={() => enable.mutate(!trigger.enabled)}>
        {trigger.enabled ? t.turnOff : t.turnOn}
      </Button>
      <Button icon={Link2} needs="integrations:write" onClick={() => onAsk("token")}>
        {t.newAddress}
      </Button>
      {mayWrite && (
        <Menu
          label={t.more}
          items={[
            { label: trigger.signed ? t.rotateSecret : t.addSecret, icon: KeyRound, onSelect: () => onAsk("secret") },
            trigger.signed && { label: t.removeSecret, icon: LockOpen, onSelect: () => onAsk("unsign") },
            { label: t.delete, icon: Trash2, onSelect: () => onAsk("delete"), isDanger: true },
          ]}
        />
      )}
    </>
  );
}
