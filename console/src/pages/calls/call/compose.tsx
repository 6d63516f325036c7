/** Telling the agent of a live call something, or having it say something. */
import { Megaphone, MessageSquareText } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api } from "@/api/client";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { Button } from "@/ui/button";
import type { CallDetail } from "../queries";

const MOST = { instruct: 1000, say: 500 } as const;

export default function Compose({ call }: { call: CallDetail }) {
  const t = useTexts("call");
  const [kind, setKind] = useState<"instruct" | "say">("instruct");
  const [text, setText] = useState("");
  const attempt = useAttempt();
  const send = useChange(
    (body: { text: string }) => {
      const request = { body, params: { path: { id: call.id }, header: { "Idempotency-Key": attempt.key([kind, body.text]) } } };
      return kind === "say" ? api.POST("/api/calls/{id}/say", request) : api.POST("/api/calls/{id}/instruct", request);
    },
    [["calls", call.id]],
    {
      onDone: () => {
        attempt.done();
        setText("");
      },
    },
  );
  const off = call.status === "in_progress" ? (text.trim() ? null : t.textFirst) : t.notAnswered;
  const submit = (): void => {
    if (!off && !send.isPending) send.mutate({ text: text.trim() });
  };
  return (
    <form
      className="border-t border-line bg-surface px-4 py-2.5 max-md:px-3 print:hidden"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <div className="mx-auto max-w-3xl">
        <div role="radiogroup" aria-label={t.howTold} className="mb-1.5 flex gap-1">
          <Kind label={t.instruct} hint={t.instructHint} isChosen={kind === "instruct"} onChoose={() => setKind("instruct")} />
          <Kind label={t.say} hint={t.sayHint} isChosen={kind === "say"} onChoose={() => setKind("say")} />
        </div>
        <div className="flex items-end gap-2">
          <textarea
            aria-label={kind === "say" ? t.say : t.instruct}
            placeholder={kind === "say" ? t.sayPlaceholder : t.instructPlaceholder}
            rows={1}
            maxLength={MOST[kind]}
            value={text}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
              event.preventDefault();
              submit();
            }}
            className="field-sizing-content max-h-32 min-h-9 w-full min-w-0 flex-1 resize-none rounded-control border border-line-strong bg-surface px-2.5 py-1.5 hover:border-dim max-md:min-h-11 max-md:text-base"
          />
          <Button look="primary" type="submit" icon={kind === "say" ? Megaphone : MessageSquareText} needs="calls:write" off={off} busy={send.isPending}>
            {kind === "say" ? t.sayIt : t.tellIt}
          </Button>
        </div>
      </div>
    </form>
  );
}

function Kind({ label, hint, isChosen, onChoose }: { label: string; hint: string; isChosen: boolean; onChoose: () => void }) {
  return (
    <button type="button" role="radio" aria-checked={isChosen} title={hint} onClick={onChoose} className={`rounded-full px-2.5 py-0.5 text-[13px] max-md:py-2 ${isChosen ? "bg-accent-soft font-medium text-accent" : "text-dim hover:bg-hover"}`}>
      {label}
    </button>
  );
}
