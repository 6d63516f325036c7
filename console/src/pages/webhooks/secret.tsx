/** A signing secret, shown once. */
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Copy } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";

export function SecretDialog({ secret, lead, onClose }: { secret: string; lead: string; onClose: () => void }) {
  const t = useTexts("webhooks");
  return (
    <Dialog
      isOpen
      isOnce
      onClose={onClose}
      title={t.secretTitle}
      description={lead}
      size="md"
      actions={
        <Button look="primary" onClick={onClose}>
          {t.secretDone}
        </Button>
      }
    >
      <Copy value={secret} isSecret />
      <p className="mt-3 text-xs text-dim">{t.secretHow}</p>
    </Dialog>
  );
}
