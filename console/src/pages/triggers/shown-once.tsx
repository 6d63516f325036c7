/** An address or a secret, shown once, with what tries it. */
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Copy } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import type { Trigger } from "./queries";
import { postOf, signedPostOf } from "./snippets";

export function ShownOnce({ trigger, lead, onClose }: { trigger: Trigger; lead: string; onClose: () => void }) {
  const t = useTexts("triggers");
  const { url, secret } = trigger;
  const snippet = url && (trigger.signed ? secret && signedPostOf(url, secret, trigger.id_field) : postOf(url, trigger.id_field));
  return (
    <Dialog
      isOpen
      isOnce
      onClose={onClose}
      title={url ? t.addressTitle : t.secretTitle}
      description={lead}
      size="md"
      actions={
        <Button look="primary" onClick={onClose}>
          {t.kept}
        </Button>
      }
    >
      <div className="space-y-4">
        {url && (
          <div>
            <p className="mb-1 text-[13px] font-medium">{t.address}</p>
            <Copy value={url} label={t.copyAddress} isSecret />
          </div>
        )}
        {secret && (
          <div>
            <p className="mb-1 text-[13px] font-medium">{t.secret}</p>
            <Copy value={secret} label={t.copySecret} isSecret />
            <p className="mt-1 text-xs text-dim">{t.secretHow}</p>
          </div>
        )}
        {snippet && (
          <div>
            <p className="mb-1 text-[13px] font-medium">{t.tryIt}</p>
            <span className="block whitespace-pre-wrap">
              <Copy value={snippet} label={t.copySnippet} />
            </span>
          </div>
        )}
        {!trigger.signed && url && <p className="text-xs text-dim">{t.unsignedLead}</p>}
      </div>
    </Dialog>
  );
}
