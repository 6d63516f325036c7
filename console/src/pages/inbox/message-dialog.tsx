import { useRef, useState } from "react";
import { type Schemas, api, data, idempotencyKey } from "@/api/client";
import { useZone } from "@/api/me";
import { useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { fullTime } from "@/lib/format";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Facts, Loaded } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { useStateWords } from "./bubble";
import type { Message } from "./history";
import { useResolve } from "./queries";

/** All that is known of a message: its times, each attempt, each word of the carrier's. */
export function MessageDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const t = useTexts("inbox");
  const query = useThing(["conversations", "message", id], (signal) => data(api.GET("/api/sms/messages/{id}", { params: { path: { id } }, signal })));
  return (
    <Dialog isOpen onClose={onClose} title={t.details} size="md">
      <Loaded query={query}>
        {({ message, attempts }) => (
          <div className="space-y-4">
            <MessageFacts message={message} />
            {message.status === "unknown" && <Resolve message={message} onDone={onClose} />}
            {attempts.map((each) => (
              <Attempt key={each.number} attempt={each} />
            ))}
          </div>
        )}
      </Loaded>
    </Dialog>
  );
}

function MessageFacts({ message }: { message: Message }) {
  const t = useTexts("inbox");
  const zone = useZone();
  const cost = message.usage?.costs.map((each) => `${each.amount} ${each.currency}`).join(", ");
  return (
    <Facts
      items={[
        [t.status, useStateWords(message)],
        message.error_code ? [t.code, <code key="code">{message.error_code}</code>] : null,
        [t.createdAt, fullTime(message.created_at, zone)],
        message.sent_at ? [t.sentAt, fullTime(message.sent_at, zone)] : null,
        message.delivered_at ? [t.deliveredAt, fullTime(message.delivered_at, zone)] : null,
        message.expires_at ? [t.expiresAt, fullTime(message.expires_at, zone)] : null,
        [t.segmentsLabel, String(message.segments)],
        cost ? [t.cost, cost] : null,
      ]}
    />
  );
}

function Attempt({ attempt }: { attempt: Schemas["MessageAttempt"] }) {
  const t = useTexts("inbox");
  const zone = useZone();
  return (
    <section className="rounded-card border border-line p-3">
      <h3 className="flex flex-wrap items-baseline justify-between gap-2 text-[13px]">
        {t.attempt(attempt.number)}: {t.attemptStates[attempt.state] ?? attempt.state}
        {attempt.carrier_sid && <code className="text-xs font-normal text-dim">{attempt.carrier_sid}</code>}
      </h3>
      <ol className="mt-2 space-y-1 text-xs">
        {attempt.words.map((each, at) => (
          <li key={at} className="flex flex-wrap gap-x-3">
            <time className="tabular text-dim">{fullTime(each.received_at, zone)}</time>
            <span>{[each.status, each.error_code].filter(Boolean).join(" · ")}</span>
            <span className="text-dim">{t.wordSources[each.source] ?? each.source}</span>
          </li>
        ))}
        {attempt.words.length === 0 && <li className="text-dim">{t.noWord}</li>}
      </ol>
    </section>
  );
}

const DECISIONS = ["sent", "failed", "send_again"] as const;

/** What a person decides about a text of which nobody knows whether the carrier has it. */
export function Resolve({ message, onDone }: { message: Message; onDone?: () => void }) {
  const t = useTexts("inbox");
  const key = useRef(idempotencyKey());
  const [chosen, setChosen] = useState<(typeof DECISIONS)[number]>();
  const resolve = useResolve(() => {
    toast.done(t.unknown.decided);
    onDone?.();
  });
  return (
    <fieldset className="rounded-card border border-line p-3">
      <legend className="px-1 text-[13px] font-medium">{t.unknown.question}</legend>
      <div className="space-y-2">
        {DECISIONS.map((each) => (
          <label key={each} className="flex items-start gap-2.5">
            <input
              type="radio"
              name={`resolve-${message.id}`}
              checked={chosen === each}
              className="mt-1 accent-accent"
              onChange={() => {
                setChosen(each);
                key.current = idempotencyKey();
              }}
            />
            <span>
              {t.unknown.choices[each]}
              <span className="block text-xs text-dim">{t.unknown.hints[each]}</span>
            </span>
          </label>
        ))}
      </div>
      <div className="mt-3">
        <Button size="sm" look="primary" needs="sms:write" busy={resolve.isPending} off={chosen ? null : t.unknown.chooseFirst} onClick={() => chosen && resolve.mutate({ id: message.id, as: chosen, key: key.current })}>
          {t.unknown.decide}
        </Button>
      </div>
    </fieldset>
  );
}
