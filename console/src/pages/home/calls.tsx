/** Calls that go on at this moment, and the latest that ended. */
import { Link } from "@tanstack/react-router";
import { PhoneIncoming, PhoneOutgoing } from "lucide-react";
import { useEffect, useState } from "react";
import type { Schemas } from "@/api/client";
import { useTexts } from "@/i18n";
import { clockTime } from "@/lib/format";
import { toPage } from "@/lib/links";
import { partyName } from "@/lib/party";
import { ButtonLink } from "@/ui/button";
import { Badge, Card, Loaded, Time, type Tone } from "@/ui/layout";
import { useLiveCalls } from "./queries";

type Call = Schemas["Call"];
const SHOWN = 6;
const TONES: Partial<Record<Call["status"], Tone>> = { in_progress: "accent", ringing: "info", queued: "info", failed: "bad", busy: "warn", no_answer: "warn", blocked: "bad" };

export function LiveCalls() {
  const t = useTexts("home");
  const query = useLiveCalls();
  return (
    <Card title={t.liveNow} isFlush>
      <Loaded query={query} skeleton={<div className="h-12" />}>
        {(calls) =>
          calls.length === 0 ? (
            <p className="p-4 text-dim">{t.noLive}</p>
          ) : (
            <ul>
              {calls.slice(0, SHOWN).map((call) => (
                <Row key={call.id} call={call}>
                  <Badge tone={TONES[call.status] ?? "plain"} isLive>
                    {call.status === "ringing" ? t.ringing : t.live}
                  </Badge>
                  <Elapsed since={call.answered_at ?? call.created_at} />
                </Row>
              ))}
              {calls.length > SHOWN && <li className="px-4 py-2 text-dim">{t.more(calls.length - SHOWN)}</li>}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}

export function RecentCalls({ calls }: { calls: Call[] }) {
  const t = useTexts("home");
  return (
    <Card
      title={t.recent}
      isFlush
      actions={
        <ButtonLink {...toPage("/calls")} size="sm" look="quiet">
          {t.allCalls}
        </ButtonLink>
      }
    >
      {calls.length === 0 ? (
        <p className="p-4 text-dim">{t.noCalls}</p>
      ) : (
        <ul>
          {calls.map((call) => (
            <Row key={call.id} call={call}>
              <span className="max-md:hidden">
                <Badge tone={call.outcome_label ? "plain" : (TONES[call.status] ?? "plain")}>{call.outcome_label || t.statuses[call.status]}</Badge>
              </span>
              <span className="tabular w-12 text-right text-dim max-md:hidden">{call.duration_seconds === null ? "" : clockTime(call.duration_seconds)}</span>
              <span className="shrink-0 text-right text-dim md:w-28">
                <Time at={call.created_at} isRelative />
              </span>
            </Row>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Row({ call, children }: { call: Call; children: React.ReactNode }) {
  const t = useTexts("home");
  const Icon = call.direction === "inbound" ? PhoneIncoming : PhoneOutgoing;
  return (
    <li className="relative flex items-center gap-3 border-b border-line px-4 py-2.5 last:border-b-0 hover:bg-hover">
      <Icon size={15} aria-hidden className="shrink-0 text-dim" />
      <span className="min-w-0 flex-1">
        <Link {...toPage(`/calls/${call.id}`)} className="block truncate font-medium after:absolute after:inset-0 focus-visible:outline-offset-[-2px]">
          {partyName(call, t)}
        </Link>
        {call.summary_text && <span className="block truncate text-xs text-dim">{call.summary_text}</span>}
      </span>
      {children}
    </li>
  );
}

/** How long it lasts, counted here. */
function Elapsed({ since }: { since: string }) {
  const t = useTexts("home");
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return (
    <span className="tabular w-12 text-right" role="timer" aria-label={t.elapsed}>
      {clockTime((now - new Date(since).getTime()) / 1000)}
    </span>
  );
}
