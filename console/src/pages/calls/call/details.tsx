/** Facts and figures of a call: where it came from, how fast it was answered, what it used. */
import type { Schemas } from "@/api/client";
import { useTexts } from "@/i18n";
import { count, isE164, phone } from "@/lib/format";
import { Copy } from "@/ui/copy";
import { Facts, Time } from "@/ui/layout";
import type { CallDetail } from "../queries";
import { Part } from "./overview";

export default function Details({ call }: { call: CallDetail }) {
  const t = useTexts("call");
  return (
    <div className="divide-y divide-line">
      <Part title={t.facts}>
        <Facts
          items={[
            [t.from, number(call.from)],
            call.to !== "" && [t.to, number(call.to)],
            [t.began, <Time key="began" at={call.created_at} />],
            call.answered_at !== null && [t.answered, <Time key="answered" at={call.answered_at} />],
            call.ended_at !== null && [t.ended, <Time key="ended" at={call.ended_at} />],
            call.caller_verification !== null && [t.verification, t.verifications[call.caller_verification]],
            call.answered_by !== null && [t.answeredBy, t.answerers[call.answered_by]],
            call.models.length > 0 && [t.spokeWith, call.models.join(", ")],
            call.recording_fault !== null && [t.recording, t.recordingFault(call.recording_fault)],
            ["ID", <Copy key="id" value={call.id} />],
          ]}
        />
      </Part>
      <Part title={t.latency}>{call.latency && call.latency.turns.length > 0 ? <Latencies latency={call.latency} /> : <p className="text-dim">{t.noLatency}</p>}</Part>
      {call.model_stages.length > 0 && (
        <Part title={t.stages}>
          <Stages stages={call.model_stages} />
        </Part>
      )}
      {call.usage && call.usage.lines.length > 0 && (
        <Part title={t.usage}>
          <Usage usage={call.usage} />
        </Part>
      )}
    </div>
  );
}

function number(e164: string): string {
  return isE164(e164) ? phone(e164) : e164;
}

function Latencies({ latency }: { latency: Schemas["CallLatency"] }) {
  const t = useTexts("call");
  const rows = [
    [t.firstSound, latency.first_sound_ms],
    [t.firstAnswer, latency.first_answer_ms],
    [t.ours, latency.ours_ms],
    [t.models, latency.model_ms],
  ] as const;
  return (
    <table className="w-full text-left">
      <thead className="text-xs text-dim">
        <tr>
          <th scope="col" className="pb-1 font-medium">
            {t.perTurn(latency.turns.length)}
          </th>
          <th scope="col" className="pb-1 text-right font-medium">
            {t.median}
          </th>
          <th scope="col" className="pb-1 text-right font-medium">
            {t.p95}
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map(
          ([label, figures]) =>
            figures && (
              <tr key={label} className="border-t border-line">
                <th scope="row" className="py-1 font-normal">
                  {label}
                </th>
                <td className="tabular text-right">{t.ms(figures.p50)}</td>
                <td className="tabular text-right">{t.ms(figures.p95)}</td>
              </tr>
            ),
        )}
      </tbody>
    </table>
  );
}

/** What each server of a cascade took, and how those failed that the next one followed. */
function Stages({ stages }: { stages: Schemas["ModelStage"][] }) {
  const t = useTexts("call");
  return (
    <table className="w-full text-left">
      <thead className="text-xs text-dim">
        <tr>
          <th scope="col" className="pb-1 font-medium">
            {t.stage}
          </th>
          {[t.stageRequests, t.stageAverage, t.stageLongest].map((heading) => (
            <th key={heading} scope="col" className="pb-1 text-right font-medium">
              {heading}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {stages.map((each) => (
          <tr key={`${each.stage} ${each.model}`} className="border-t border-line align-top">
            <th scope="row" className="py-1 font-normal">
              {t.stageNames[each.stage]} <span className="break-all text-dim">{each.model}</span>
              {each.failures > 0 && <p className="text-xs text-bad">{t.stageFailures(each.failures, each.last_error ?? "")}</p>}
            </th>
            <td className="tabular py-1 text-right">{count(each.requests)}</td>
            <td className="tabular py-1 text-right">{each.average_ms === null ? "–" : t.ms(each.average_ms)}</td>
            <td className="tabular py-1 text-right">{each.longest_ms === null ? "–" : t.ms(each.longest_ms)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Usage({ usage }: { usage: Schemas["Usage"] }) {
  const t = useTexts("call");
  return (
    <>
      <p className="mb-2">
        {usage.costs.map((cost) => (
          <span key={cost.currency} className="tabular mr-3 text-base font-semibold">
            {cost.amount} {cost.currency}
          </span>
        ))}
        {usage.costs.length === 0 && <span className="text-dim">{t.costsLater}</span>}
      </p>
      <ul className="space-y-0.5 text-[13px]">
        {usage.lines.map((line) => (
          <li key={`${line.meter} ${line.item}`} className="flex justify-between gap-3">
            <span className="min-w-0 truncate">
              {t.meters[line.meter] ?? line.meter.replaceAll("_", " ")} {line.item && <span className="text-dim">{line.item}</span>}
            </span>
            <span className="tabular shrink-0">
              {count(line.quantity)} <span className="inline-block w-20 text-right text-dim">{line.cost ? line.cost.amount : "–"}</span>
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}
