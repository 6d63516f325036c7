import { getRouteApi, Link } from "@tanstack/react-router";
import { MessageSquare, Mic } from "lucide-react";
import { Suspense } from "react";
import { useTexts } from "@/i18n";
import { Skeleton } from "@/ui/layout";
import { part } from "@/ui/part";
import { useEditing } from "../edit/editing";
import { startOf } from "../flow";
import { Practice } from "./practice";
import { TryText } from "./try-text";

const TryVoice = part(() => import("./try-voice"));
const route = getRouteApi("/shell/agents/$id");

/** An agent is tried by writing to it, or by a call from the browser. */
export default function Try() {
  const t = useTexts("try");
  const { base, draft } = useEditing();
  const by = route.useSearch({ select: (search) => search.by });
  const canCall = startOf(draft) === "call" && base.channel === "voice";
  const shown = by === "voice" && canCall ? "voice" : "text";
  return (
    <div className="flex min-h-0 flex-1 flex-col gap-4">
      {canCall && (
        <nav aria-label={t.ways} className="flex self-start rounded-control border border-line bg-surface p-0.5">
          {(
            [
              ["text", t.byText, MessageSquare],
              ["voice", t.byVoice, Mic],
            ] as const
          ).map(([way, label, Icon]) => (
            <Link
              key={way}
              to="/agents/$id"
              params={{ id: base.id }}
              search={{ tab: "try", by: way }}
              replace
              aria-current={way === shown ? "page" : undefined}
              className={`flex h-7 items-center gap-1.5 rounded-[5px] px-2.5 text-[13px] font-medium max-md:h-9 ${way === shown ? "bg-accent-soft text-accent" : "text-dim hover:text-ink"}`}
            >
              <Icon size={14} aria-hidden /> {label}
            </Link>
          ))}
        </nav>
      )}
      <Practice />
      {shown === "text" ? (
        <TryText />
      ) : (
        <Suspense fallback={<Skeleton lines={6} />}>
          <TryVoice />
        </Suspense>
      )}
    </div>
  );
}
