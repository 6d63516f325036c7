import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api } from "@/api/client";
import { type ListedFlow, useAllFlowsWith } from "@/api/flows";
import { useChange } from "@/api/queries";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { Button } from "@/ui/button";
import { Confirm, Dialog } from "@/ui/dialog";
import { toast } from "@/ui/toast";
import { isNamedIn } from "./flow";
import { useFlowUse } from "./queries";

/** The question before an agent is deleted: who uses it is said first, since then it can't be. */
export default function DeleteFlow({ flow, onClose, onDone }: { flow: Pick<ListedFlow, "id" | "name">; onClose: () => void; onDone?: () => void }) {
  const t = useTexts("agents");
  const [refused, setRefused] = useState<string>();
  const numbers = useFlowUse().numbers.get(flow.id) ?? [];
  const others = (useAllFlowsWith(["transfer_map_json", "route_tags_json"]).data ?? []).filter((each) => each.id !== flow.id && isNamedIn([each.transfer_map_json, each.route_tags_json], flow.id));
  const remove = useChange((id: string) => api.DELETE("/api/flows/{id}", { params: { path: { id } } }), [["flows", "list"], ["flows", "all"]], {
    onDone: () => {
      toast.done(t.deleted(flow.name ?? ""));
      onClose();
      onDone?.();
    },
    onError: (error) => {
      setRefused(error.message);
      return true;
    },
  });
  if (numbers.length > 0 || others.length > 0)
    return (
      <Dialog isOpen onClose={onClose} title={t.deleteTitle(flow.name ?? "")} actions={<Button onClick={onClose}>{t.close}</Button>}>
        <Users numbers={numbers} others={others} onFollow={onClose} />
      </Dialog>
    );
  return (
    <Confirm isOpen onClose={onClose} title={t.deleteTitle(flow.name ?? "")} verb={t.delete} needs="flows:write" isBusy={remove.isPending} onConfirm={() => remove.mutate(flow.id)} typed={flow.name ?? ""}>
      <p>{t.deleteLead}</p>
      {refused && (
        <p role="alert" className="mt-2 font-medium text-bad">
          {refused}
        </p>
      )}
    </Confirm>
  );
}

/** Who keeps it from being deleted, and where that is changed. */
function Users({ numbers, others, onFollow }: { numbers: string[]; others: ListedFlow[]; onFollow: () => void }) {
  const t = useTexts("agents");
  return (
    <div className="space-y-2">
      <p>{t.inUse}</p>
      <ul className="list-disc space-y-1 pl-5">
        {numbers.map((e164) => (
          <li key={e164}>
            {t.answers}{" "}
            <Link to="/numbers" className="text-accent underline" onClick={onFollow}>
              {phone(e164)}
            </Link>
          </li>
        ))}
        {others.map((each) => (
          <li key={each.id}>
            {t.namedBy}{" "}
            <Link to="/agents/$id" params={{ id: each.id }} className="text-accent underline" onClick={onFollow}>
              {each.name}
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}
