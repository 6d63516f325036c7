/** What somebody sees: everything, or some numbers and agents. */
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
import type { Invite, Member } from "./queries";

type Ids = ReadonlySet<string>;

export function isLimited(row: Member | Invite): boolean {
  return Boolean(row.limited_to && row.limited_to.number_ids.length + row.limited_to.flow_ids.length > 0);
}

/** The ids as the API takes them. */
export function limitsOf(chosen: Ids): { number_ids: string[]; flow_ids: string[] } {
  const all = [...chosen];
  return { number_ids: all.filter((id) => !id.startsWith("flow_")), flow_ids: all.filter((id) => id.startsWith("flow_")) };
}

export function Sees({ member, onClose }: { member: Member; onClose: () => void }) {
  const t = useTexts("team");
  const shell = useTexts("shell");
  const name = member.name || member.email;
  const [chosen, setChosen] = useState<Ids>(new Set([...(member.limited_to?.number_ids ?? []), ...(member.limited_to?.flow_ids ?? [])]));
  const change = useChange(
    () => data(api.PATCH("/api/team/{user_id}", { params: { path: { user_id: member.user_id } }, body: { limited_to: limitsOf(chosen) } })),
    [["team"]],
    {
      onDone: () => {
        toast.done(t.seesChanged(name));
        onClose();
      },
    },
  );
  return (
    <Dialog isOpen onClose={onClose} title={t.seesOf(name)} description={chosen.size === 0 ? t.seesEverythingLead : t.seesSomeLead}>
      <Seen chosen={chosen} onChange={setChosen} />
      <div className="mt-4 flex justify-end gap-2">
        <Button onClick={onClose}>{shell.cancel}</Button>
        <Button look="primary" needs="team:write" busy={change.isPending} onClick={() => change.mutate(undefined)}>
          {shell.save}
        </Button>
      </div>
    </Dialog>
  );
}

/** The organization's numbers and agents, to choose from. */
export function Seen({ chosen, onChange }: { chosen: Ids; onChange: (chosen: Ids) => void }) {
  const t = useTexts("team");
  const numbers = useQuery({ queryKey: ["numbers", "to see"], queryFn: ({ signal }) => data(api.GET("/api/numbers", { params: { query: { limit: 200 } }, signal })) }).data?.numbers;
  const flows = useQuery({ queryKey: ["flows", "to see"], queryFn: ({ signal }) => data(api.GET("/api/flows", { params: { query: { limit: 200, fields: ["name"] } }, signal })) }).data?.flows;
  return (
    <>
      <Choices title={t.seesNumbers} chosen={chosen} onChange={onChange} choices={(numbers ?? []).map((each) => ({ id: each.id, label: each.friendly_name || phone(each.e164) }))} />
      <Choices title={t.seesAgents} chosen={chosen} onChange={onChange} choices={(flows ?? []).map((each) => ({ id: each.id, label: each.name }))} />
    </>
  );
}

function Choices({ title, choices, chosen, onChange }: { title: string; choices: { id: string; label: string }[]; chosen: Ids; onChange: (chosen: Ids) => void }) {
  const toggle = (id: string, isChosen: boolean) => onChange(new Set(isChosen ? [...chosen, id] : [...chosen].filter((each) => each !== id)));
  if (choices.length === 0) return null;
  return (
    <fieldset className="mt-3">
      <legend className="mb-1 text-[13px] font-medium">{title}</legend>
      <div className="max-h-56 overflow-y-auto">
        {choices.map((each) => (
          <Switch key={each.id} label={each.label} checked={chosen.has(each.id)} onChange={(event) => toggle(each.id, event.target.checked)} />
        ))}
      </div>
    </fieldset>
  );
}
