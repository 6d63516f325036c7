/** What a person can do with a call: while it is live, and afterwards. The menu and the dialogs are loaded when they are wanted. */
import { Link } from "@tanstack/react-router";
import { Ear, EarOff, Hand, PhoneForwarded, PhoneOff, PhoneOutgoing } from "lucide-react";
import { Suspense, useMemo, useState } from "react";
import { useCan } from "@/api/me";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { isE164 } from "@/lib/format";
import { otherParty } from "@/lib/party";
import { Button } from "@/ui/button";
import { part } from "@/ui/part";
import { type CallDetail, isLive } from "../queries";
import { useListening } from "./listen";
import type { Open } from "./dialogs";

const More = part(() => import("./more"));
const OpenDialog = part(() => import("./dialogs"));

export function Actions({ call, isOver }: { call: CallDetail; isOver: boolean }) {
  const [open, setOpen] = useState<Open | null>(null);
  const live = isLive(call) && !isOver;
  return (
    <>
      {live ? <LiveButtons call={call} setOpen={setOpen} /> : <CallBack call={call} />}
      <Suspense fallback={<span className="size-9 max-md:size-11" />}>
        <More call={call} isLive={live} setOpen={setOpen} />
      </Suspense>
      {open && (
        <Suspense>
          <OpenDialog open={open} call={call} onClose={() => setOpen(null)} />
        </Suspense>
      )}
    </>
  );
}

function LiveButtons({ call, setOpen }: { call: CallDetail; setOpen: (open: Open) => void }) {
  const t = useTexts("call");
  const listening = useListening(call.id);
  const off = call.status === "in_progress" ? null : t.notAnswered;
  const { toggle } = listening;
  const commands = useMemo<Command[]>(
    () => [
      { id: "hang up", label: t.hangUp, run: () => setOpen("hang up") },
      { id: "transfer", label: t.transfer, keys: "t", run: () => setOpen("transfer") },
      { id: "take over", label: t.takeOver, keys: "o", run: () => setOpen("take over") },
      { id: "listen", label: t.listen, keys: "l", run: toggle },
    ],
    [t, setOpen, toggle],
  );
  useCommands(commands);
  return (
    <>
      <Button icon={listening.isListening ? EarOff : Ear} needs="calls:read" aria-pressed={listening.isListening} onClick={listening.toggle}>
        {listening.isListening ? t.stopListening : t.listen}
      </Button>
      <Button icon={PhoneForwarded} needs="calls:write" off={off} onClick={() => setOpen("transfer")}>
        {t.transfer}
      </Button>
      <Button icon={Hand} needs="calls:write" off={off} onClick={() => setOpen("take over")}>
        {t.takeOver}
      </Button>
      <Button look="danger" icon={PhoneOff} needs="calls:write" onClick={() => setOpen("hang up")}>
        {t.hangUp}
      </Button>
    </>
  );
}

function CallBack({ call }: { call: CallDetail }) {
  const t = useTexts("call");
  const mayCall = useCan("calls:write");
  const party = otherParty(call);
  if (!isE164(party) || !mayCall) return null;
  return (
    <Link to="/calls" search={{ place: party }} className="inline-flex h-9 items-center gap-2 rounded-control border border-line bg-surface px-3 font-medium hover:bg-hover max-md:h-11">
      <PhoneOutgoing size={16} aria-hidden />
      {t.callBack}
    </Link>
  );
}
