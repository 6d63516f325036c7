import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Copy } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import type { Connector } from "./queries";

/** A secret, shown this once. */
export function SecretDialog({ connector, onClose }: { connector: Connector; onClose: () => void }) {
  const t = useTexts("crm");
  return (
    <Dialog
      isOpen
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
      {connector.secret && <Copy value={connector.secret} isSecret />}
      <p className="mt-3 text-[13px] text-dim">{t.secretUse}</p>
    </Dialog>
  );
}
