import { Link } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { idempotencyKey } from "@/api/client";
import { useAllFlows } from "@/api/flows";
import { useChange } from "@/api/queries";
import { useTexts } from "@/i18n";
import { count, phone } from "@/lib/format";
import { Button } from "@/ui/button";
import { Card, Facts, Time } from "@/ui/layout";
import { toast } from "@/ui/toast";
import type { Audience } from "./audience";
import { Adding, AudienceFields } from "./audience-card";
import { type Campaign, addAudience, useTextNumbers } from "./queries";
import type { RecipientStatus } from "./route";

const ORDER: readonly RecipientStatus[] = ["pending", "sending", "sent", "delivered", "failed", "unknown", "opted_out", "skipped", "canceled"];

/** How many recipients are in which state; each number filters the list below. */
export function Counts({ campaign }: { campaign: Campaign }) {
  const t = useTexts("campaigns");
  return (
    <ul className="-mx-2 mt-4 grid grid-cols-3 gap-2 sm:grid-cols-5">
      {ORDER.filter((status) => campaign.counts[status] > 0 || status === "pending" || status === "delivered" || status === "failed").map((status) => (
        <li key={status}>
          <Link to="/campaigns/$id" params={{ id: campaign.id }} search={{ status }} className="block rounded-control px-2 py-1 hover:bg-hover">
            <span className={`tabular block text-lg font-semibold ${campaign.counts[status] > 0 && (status === "failed" || status === "unknown") ? "text-bad" : ""}`}>{count(campaign.counts[status])}</span>
            <span className="block text-xs text-dim">{t.recipientStatuses[status]}</span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

/** Which hours really hold its texts back. */
function keptHours(t: { kept: string; keptOurs: string; keptTheirs: string; notKept: string }, hours: readonly string[]): string {
  const [ours, theirs] = [hours.includes("organization_hours"), hours.includes("recipient_hours")];
  return ours && theirs ? t.kept : ours ? t.keptOurs : theirs ? t.keptTheirs : t.notKept;
}

export function CampaignFacts({ campaign }: { campaign: Campaign }) {
  const t = useTexts("campaigns");
  const number = useTextNumbers().find((each) => each.id === campaign.twilio_number_id);
  const flow = useAllFlows().data?.find((each) => each.id === campaign.flow_id);
  return (
    <Card title={t.what}>
      <p className="mb-4 ml-auto w-fit max-w-[95%] rounded-2xl rounded-br-md bg-accent-soft px-3.5 py-2 whitespace-pre-wrap">{campaign.body_template || <span className="text-dim">{t.noText}</span>}</p>
      <Facts
        items={[
          [t.number, number ? phone(number.e164) : campaign.twilio_number_id ? "…" : t.numberGone],
          [t.agent, flow ? <Link key="flow" to="/agents/$id" params={{ id: flow.id }} className="underline">{flow.name}</Link> : t.numbersAgent],
          [t.throttle, campaign.throttle_per_minute ? t.perMinute(campaign.throttle_per_minute) : t.asFastAsMay],
          [t.quietHours, keptHours(t, campaign.quiet_hours)],
          campaign.scheduled_start_at ? [t.startsAt, <Time key="start" at={campaign.scheduled_start_at} />] : null,
          campaign.expires_at ? [t.expiresAt, <Time key="end" at={campaign.expires_at} />] : null,
          campaign.launched_at ? [t.launchedAt, <Time key="launched" at={campaign.launched_at} />] : null,
          campaign.ended_at ? [t.endedAt, <Time key="ended" at={campaign.ended_at} />] : null,
          campaign.counts.duplicates > 0 ? [t.duplicates, count(campaign.counts.duplicates)] : null,
        ]}
      />
    </Card>
  );
}

/** More recipients for a draft. */
export function AddRecipients({ campaign }: { campaign: Campaign }) {
  const t = useTexts("campaigns");
  const [audience, setAudience] = useState<Audience | null>(null);
  const [share, setShare] = useState(0);
  const [version, setVersion] = useState(0);
  const key = useRef(idempotencyKey());
  const add = useChange(
    (chosen: Audience) => {
      setShare(0);
      return addAudience(campaign.id, chosen, key.current, setShare);
    },
    [["campaigns"]],
    {
      onDone: (added) => {
        toast.done(t.addedDone(added.added, added.duplicates, added.invalid));
        setAudience(null);
        setVersion(version + 1);
        key.current = idempotencyKey();
      },
    },
  );
  return (
    <Card title={t.addRecipients}>
      <AudienceFields
        key={version}
        audience={audience}
        onChange={(next) => {
          setAudience(next);
          key.current = idempotencyKey();
        }}
      />
      <div className="mt-3 flex items-center gap-3">
        <Button needs="campaigns:write" busy={add.isPending} off={audience ? null : t.audienceFirst} onClick={() => audience && add.mutate(audience)}>
          {t.add}
        </Button>
        {add.isPending && <Adding share={share} />}
      </div>
    </Card>
  );
}
