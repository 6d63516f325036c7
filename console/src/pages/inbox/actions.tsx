import { Check } from "lucide-react";
import { useMemo, useState } from "react";
import { useMe, useZone } from "@/api/me";
import { useTexts } from "@/i18n";
import { zoneName } from "@/lib/format";
import { exactTime, laterChoices } from "@/lib/zoned";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { MomentField } from "@/ui/moment";
import { Skeleton } from "@/ui/layout";
import { useNow } from "@/ui/now";
import { toast } from "@/ui/toast";
import { answering } from "./names";
import { type Conversation, useMembers, usePatch } from "./queries";

const OPTION = "flex w-full items-center gap-3 rounded-control px-3 py-2 text-left hover:bg-hover max-md:py-3";

export function AssignDialog({ conversation, onClose }: { conversation: Conversation; onClose: () => void }) {
  const t = useTexts("inbox");
  const me = useMe();
  const patch = usePatch();
  const { data } = useMembers();
  const before = conversation.assignee_id;
  const assign = (id: string | null, name: string): void => {
    onClose();
    if (id === before) return;
    patch(conversation.id, { assignee_id: id }, () => toast.done(id ? t.assignedTo(name) : t.unassigned, { label: t.undo, run: () => patch(conversation.id, { assignee_id: before }) }));
  };
  const mine = me.user?.id;
  const members = answering(data?.members ?? []).toSorted((a, b) => Number(b.user_id === mine) - Number(a.user_id === mine));
  return (
    <Dialog isOpen onClose={onClose} title={t.assign} description={t.assignLead}>
      {data ? (
        <ul className="-mx-3">
          {members.map((each) => (
            <li key={each.user_id}>
              <button type="button" className={OPTION} onClick={() => assign(each.user_id, each.name ?? each.email)}>
                <span className="min-w-0 flex-1 truncate">
                  {each.name ?? each.email}
                  {each.user_id === mine && <span className="text-dim"> ({t.you})</span>}
                </span>
                {each.user_id === before && <Check size={16} aria-label={t.chosen} className="text-accent" />}
              </button>
            </li>
          ))}
          <li>
            <button type="button" className={OPTION} onClick={() => assign(null, "")}>
              <span className="flex-1 text-dim">{t.nobody}</span>
              {before === null && <Check size={16} aria-label={t.chosen} className="text-accent" />}
            </button>
          </li>
        </ul>
      ) : (
        <Skeleton />
      )}
    </Dialog>
  );
}

export function SnoozeDialog({ conversation, onClose }: { conversation: Conversation; onClose: () => void }) {
  const t = useTexts("inbox");
  const zone = useZone();
  const patch = usePatch();
  const snooze = (until: Date): void => {
    onClose();
    const wake = (): void => patch(conversation.id, { snoozed_until: conversation.snoozed_until });
    patch(conversation.id, { snoozed_until: until.toISOString() }, () => toast.done(t.snoozedUntil(exactTime(until, zone)), { label: t.undo, run: wake }));
  };
  return (
    <Dialog isOpen onClose={onClose} title={t.snooze} description={t.snoozeLead}>
      <Later verb={t.snooze} onChoose={snooze} />
    </Dialog>
  );
}

/** Times to put something off to, each with its exact hour and zone; or any other. */
export function Later({ verb, onChoose }: { verb: string; onChoose: (at: Date) => void }) {
  const t = useTexts("inbox");
  const zone = useZone();
  const now = useNow();
  const choices = useMemo(() => laterChoices(new Date(now), zone), [now, zone]);
  const [own, setOwn] = useState<Date | null>(null);
  const isPast = own !== null && own.getTime() <= now;
  return (
    <>
      <ul className="-mx-3">
        {choices.map((each) => (
          <li key={each.key}>
            <button type="button" className={OPTION} onClick={() => onChoose(each.at)}>
              <span className="min-w-0 flex-1">{t.later[each.key]}</span>
              <time dateTime={each.at.toISOString()} className="tabular text-[13px] text-dim">
                {exactTime(each.at, zone)}
              </time>
            </button>
          </li>
        ))}
      </ul>
      <div className="mt-3 flex items-start gap-2 border-t border-line pt-3">
        <div className="min-w-0 flex-1">
          <MomentField label={t.anotherTime} hint={t.inZone(zoneName(zone))} value={own} onChange={setOwn} error={isPast ? t.isPast : undefined} />
        </div>
        <div className="pt-6">
          <Button look="primary" off={own ? (isPast ? t.isPast : null) : t.chooseTime} onClick={() => own && onChoose(own)}>
            {verb}
          </Button>
        </div>
      </div>
    </>
  );
}
