import { useState } from "react";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { useEditing } from "../edit/editing";
import type { FieldName } from "../flow";
import { DescribeForm, ProposalView, proposedFields, useProposal } from "./describe";

/** Changes to the agent that is open, from a description: taken into the form, and saved there or not. */
export default function Redescribe({ onClose }: { onClose: () => void }) {
  const t = useTexts("describe");
  const { draft, replace } = useEditing();
  const proposing = useProposal();
  const [refused, setRefused] = useState<ReadonlySet<FieldName>>(new Set());
  const flow = proposing.data?.flow;
  const names = proposing.data ? proposedFields(proposing.data, draft).filter((each) => !refused.has(each)) : [];
  return (
    <Dialog
      isOpen
      size="lg"
      onClose={onClose}
      title={t.redescribeTitle}
      description={t.redescribeLead}
      actions={
        flow && (
          <Button
            look="primary"
            off={names.length > 0 ? null : t.noDifference}
            onClick={() => {
              replace({ ...draft, ...Object.fromEntries(names.map((name) => [name, flow[name]])) });
              onClose();
            }}
          >
            {t.takeOver(names.length)}
          </Button>
        )
      }
    >
      <div className="space-y-5">
        <DescribeForm channel={draft.channel} isChannelFixed proposing={proposing} />
        {(proposing.isPending || flow) && <ProposalView proposing={proposing} base={draft} refused={refused} onRefuse={setRefused} accept={null} />}
      </div>
    </Dialog>
  );
}
