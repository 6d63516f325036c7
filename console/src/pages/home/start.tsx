/** The way to the first call, step by step, each with where to go. */
import { Check } from "lucide-react";
import { useState } from "react";
import type { Schemas } from "@/api/client";
import { useAllFlows } from "@/api/flows";
import { can, useMe } from "@/api/me";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { toPage } from "@/lib/links";
import { Button, ButtonLink } from "@/ui/button";
import { Copy } from "@/ui/copy";
import { Card } from "@/ui/layout";
import { type Step, isPast, noteHeard, stepsOf, wasHeard } from "./checklist";
import { useCallDetail, useFirstNumber } from "./queries";

export function Start({ board }: { board: Schemas["GetDashboard"] }) {
  const t = useTexts("home").start;
  const me = useMe();
  const organization = me.organization?.id ?? "";
  const [isHeard, setHeard] = useState(() => wasHeard(organization));
  const calls = Math.max(board.recent_calls.length, board.week.calls);
  const isWanted = can(me, "flows:write") && !isPast({ flows: board.flows, number: null, calls, isHeard });
  const number = useFirstNumber(isWanted);
  if (!isWanted || number.isPending) return null;
  const steps = stepsOf({ flows: board.flows, number: number.data ? { hasFlow: Boolean(number.data.flow_id) } : null, calls, isHeard });
  const heard = (): void => {
    noteHeard(organization);
    setHeard(true);
  };
  const last = board.recent_calls.find((each) => each.ended_at);
  return (
    <Card
      title={`${t.title} · ${t.progress(steps.filter((each) => each.isDone).length, steps.length)}`}
      isFlush
      actions={
        <Button size="sm" look="quiet" onClick={heard}>
          {t.hide}
        </Button>
      }
    >
      <ol>
        {steps.map((step) => (
          <Row key={step.name} step={step}>
            <Way step={step} number={number.data ?? null} call={last} onHeard={heard} />
          </Row>
        ))}
      </ol>
    </Card>
  );
}

function Row({ step, children }: { step: Step; children: React.ReactNode }) {
  const t = useTexts("home").start;
  return (
    <li className={`flex items-start gap-3 border-b border-line px-4 py-2.5 last:border-b-0 ${step.isNext ? "bg-accent-soft/50" : ""}`} aria-current={step.isNext ? "step" : undefined}>
      <span className={`mt-0.5 grid size-5 shrink-0 place-items-center rounded-full border ${step.isDone ? "border-accent bg-accent text-on-accent" : "border-line-strong"}`}>
        {step.isDone && <Check size={13} aria-label={t.done} />}
      </span>
      <div className="min-w-0 flex-1">
        <p className={step.isDone ? "text-dim" : "font-medium"}>{t[step.name]}</p>
        {!step.isDone && children}
      </div>
    </li>
  );
}

interface WayProps {
  step: Step;
  number: Schemas["Number"] | null;
  call: Schemas["Call"] | undefined;
  onHeard: () => void;
}

function Way({ step, number, call, onHeard }: WayProps) {
  const t = useTexts("home").start;
  const practice = useTexts("banners");
  const { stand_ins: standIns } = useMe();
  const flows = useAllFlows(step.isNext && step.name === "call");
  const look = step.isNext ? "primary" : "plain";
  if (step.name === "agent") return <Hint lead={t.agentLead} to="/agents/new" look={look} way={t.agentWay} isNext={step.isNext} />;
  if (step.name === "number") return <Hint lead={t.numberLead} to={number ? `/numbers/${number.id}` : "/numbers"} look={look} way={number ? t.assignWay : t.numberWay} isNext={step.isNext} />;
  if (step.name === "call") {
    const agent = number?.flow_id ?? flows.data?.find((each) => each.channel === "voice")?.id;
    const to = agent ? `/agents/${agent}?tab=try` : "/agents";
    if (number && standIns.includes("carrier")) {
      return (
        <Hint lead={practice.callLead(phone(number.e164))} to={to} look={look} way={t.callWay} isNext={step.isNext}>
          <Copy value={`hum call --to ${number.e164} --say "Hello"`} />
          {number.sms_flow_id && <Copy value={`hum text ${number.e164} "Hello"`} />}
        </Hint>
      );
    }
    return <Hint lead={number ? t.callLead(phone(number.e164)) : t.callLeadNoNumber} to={to} look={look} way={t.callWay} isNext={step.isNext} />;
  }
  return <Listen call={call} isNext={step.isNext} onHeard={onHeard} />;
}

function Hint({ lead, to, look, way, isNext, children }: { lead: string; to: string; look: "primary" | "plain"; way: string; isNext: boolean; children?: React.ReactNode }) {
  return (
    <>
      <p className="text-dim">{lead}</p>
      {isNext && children && <p className="mt-1.5">{children}</p>}
      {isNext && (
        <p className="mt-2">
          <ButtonLink {...toPage(to)} look={look} size="sm">
            {way}
          </ButtonLink>
        </p>
      )}
    </>
  );
}

function Listen({ call, isNext, onHeard }: { call: Schemas["Call"] | undefined; isNext: boolean; onHeard: () => void }) {
  const t = useTexts("home").start;
  const detail = useCallDetail(isNext ? call?.id : undefined);
  return (
    <>
      <p className="text-dim">{t.listenLead}</p>
      {isNext && call && (
        <div className="mt-2 flex flex-wrap items-center gap-2">
          {detail.data?.recording_url && (
            // What was spoken is on the call's page as text.
            // oxlint-disable-next-line jsx-a11y/media-has-caption
            <audio controls preload="none" aria-label={t.recording} src={detail.data.recording_url} className="h-9 max-w-full" onEnded={onHeard} />
          )}
          <ButtonLink {...toPage(`/calls/${call.id}`)} size="sm" onClick={onHeard}>
            {t.listenWay}
          </ButtonLink>
        </div>
      )}
    </>
  );
}
