/** The questions before something is done with a call. */
import { useNavigate } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useChange } from "@/api/acts";
import { api } from "@/api/client";
import { queryClient } from "@/api/queries";
import { useTexts } from "@/i18n";
import { otherParty } from "@/lib/party";
import { Confirm } from "@/ui/dialog";
import { toast } from "@/ui/toast";
import { BlockNumber } from "../block-number";
import { usePartyName } from "../labels";
import { type CallDetail } from "../queries";
import { NewContact } from "./new-contact";
import { TakeOver, Transfer } from "./transfer";

export type Open = "hang up" | "transfer" | "take over" | "block" | "contact" | "delete";

export default function OpenDialog({ open, call, onClose }: { open: Open; call: CallDetail; onClose: () => void }): ReactNode {
  switch (open) {
    case "hang up":
      return <HangUp call={call} onClose={onClose} />;
    case "transfer":
      return <Transfer call={call} onClose={onClose} />;
    case "take over":
      return <TakeOver call={call} onClose={onClose} />;
    case "block":
      return <BlockNumber number={otherParty(call)} onClose={onClose} />;
    case "contact":
      return <NewContact call={call} onClose={onClose} />;
    case "delete":
      return <DeleteCall call={call} onClose={onClose} />;
  }
}

function HangUp({ call, onClose }: { call: CallDetail; onClose: () => void }) {
  const t = useTexts("call");
  const name = usePartyName();
  const hangUp = useChange((id: string) => api.POST("/api/calls/{id}/hangup", { params: { path: { id } } }), [["calls"]], { onDone: onClose });
  return (
    <Confirm isOpen onClose={onClose} title={t.hangUp} verb={t.hangUp} needs="calls:write" isBusy={hangUp.isPending} onConfirm={() => hangUp.mutate(call.id)}>
      {t.hangUpLead(name(call))}
    </Confirm>
  );
}

function DeleteCall({ call, onClose }: { call: CallDetail; onClose: () => void }) {
  const t = useTexts("call");
  const navigate = useNavigate();
  const erase = useChange((id: string) => api.DELETE("/api/calls/{id}", { params: { path: { id } } }), [], {
    onDone: (_, id) => {
      toast.done(t.callDeleted);
      void navigate({ to: "/calls" }).then(() => {
        queryClient.removeQueries({ queryKey: ["calls", id] });
        void queryClient.invalidateQueries({ queryKey: ["calls"] });
      });
    },
  });
  return (
    <Confirm isOpen onClose={onClose} title={t.deleteCall} verb={t.deleteCall} typed={t.deleteWord} needs="calls:write" isBusy={erase.isPending} onConfirm={() => erase.mutate(call.id)}>
      {t.deleteLead}
    </Confirm>
  );
}
