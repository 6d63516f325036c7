/** What a member sees: everything, or some numbers and agents. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Switch } from "@/ui/field";
import { toast } from "@/ui/toast";
import type { Member } from "./queries";

type Toggle = (id: string, isChosen: boolean) => void;

export function isLimited(member: Member): boolean {
  return Boolean(member.limited_to && member.limited_to.number_ids.length + member.limited_to.flow_ids.length > 0);
}

export function Sees({ member, onClose }: { member: Member; onClose: () => void }) {
  const t = useTexts("team");
  const shell = useTexts("shell");
  const name = member.name || member.email;
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set([...(member.limited_to?.number_ids ?? []), ...(member.limited_to?.flow_ids ?? [])]));
  const numbers = useQuery({ queryKey: ["numbers", "to see"], queryFn: ({ signal }) => data(api.GET("/api/numbers", { params: { query: { limit: 200 } }, signal })) }).data?.numbers;
  const flows = useQuery({ queryKey: ["flows", "to see"], queryFn: ({ signal }) => data(api.GET("/api/flows", { params: { query: { limit: 200, fields: ["name"] } }, signal })) }).data?.flows;
  const toggle: Toggle = (id, isChosen) => setChosen(new Set(isChosen ? [...chosen, id] : [...chosen].filter((each) => each !== id)));
  const change = useChange(
    (limits: { number_ids: string[]; flow_ids: string[] }) => data(api.PATCH("/api/team/{user_id}", { params: { path: { user_id: member.user_id } }, body: { limited_to: limits } })),
    [["team"]],
    {
      onDone: () => {
        toast.done(t.seesChanged(name));
        onClose();
      },
    },
  );
  const save = () =>
    change.mutate({ number_ids: [...chosen].filter((id) => !id.startsWith("flow_")), flow_ids: [...chosen].filter((id) => id.startsWith("flow_")) });
  return (
    <Dialog isOpen onClose={onClose} title={t.seesOf(name)} description={chosen.size === 0 ? t.seesEverythingLead : t.seesSomeLead}>
      <Choices title={t.seesNumbers} chosen={chosen} onToggle={toggle} choices={(numbers ?? []).map((each) => ({ id: each.id, label: each.friendly_name || phone(each.e164) }))} />
      <Choices title={t.seesAgents} chosen={chosen} onToggle={toggle} choices={(flows ?? []).map((each) => ({ id: each.id, label: each.name }))} />
      <div className="mt-4 flex justify-end gap-2">
        <Button onClick={onClose}>{shell.cancel}</Button>
        <Button look="primary" needs="team:write" busy={change.isPending || !numbers || !flows} onClick={save}>
          {shell.save}
        </Button>
      </div>
    </Dialog>
  );
}

function Choices({ title, choices, chosen, onToggle }: { title: string; choices: { id: string; label: string }[]; chosen: ReadonlySet<string>; onToggle: Toggle }) {
  if (choices.length === 0) return null;
  return (
    <fieldset className="mt-3">
      <legend className="mb-1 text-[13px] font-medium">{title}</legend>
      <div className="max-h-56 overflow-y-auto">
        {choices.map((each) => (
          <Switch key={each.id} label={each.label} checked={chosen.has(each.id)} onChange={(event) => onToggle(each.id, event.target.checked)} />
        ))}
      </div>
    </fieldset>
  );
}
