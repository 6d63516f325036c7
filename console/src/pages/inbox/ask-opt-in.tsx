import { useTexts } from "@/i18n";
import { Confirm } from "@/ui/dialog";
import { toast } from "@/ui/toast";
import { useOptOut } from "./queries";

/** Asks before somebody who wanted no texts gets them again: only their own wish may do that. */
export function AskOptIn({ e164, name, isCarrierBlocked, onClose }: { e164: string; name: string; isCarrierBlocked: boolean; onClose: () => void }) {
  const t = useTexts("inbox");
  const optIn = useOptOut(() => {
    onClose();
    toast.done(t.optOuts.removed);
  });
  return (
    <Confirm isOpen onClose={onClose} title={t.optInTitle(name)} verb={t.optIn} needs="sms:write" isBusy={optIn.isPending} onConfirm={() => optIn.mutate({ e164, isOut: false })}>
      <p>{t.optInLead}</p>
      {isCarrierBlocked && <p className="mt-2 text-warn">{t.optOuts.carrierBlockedLead}</p>}
    </Confirm>
  );
}
