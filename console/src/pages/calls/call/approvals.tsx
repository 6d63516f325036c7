/** What the agent of a call may not do alone: decided where it is seen, while the caller waits. */
import { ShieldQuestion } from "lucide-react";
import { Suspense } from "react";
import { api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { useThing } from "@/api/queries";
import { Decision, StateBadge, TimeLeft } from "@/pages/approvals/labels";
import type { Approval } from "@/pages/approvals/queries";
import { PanelBoundary } from "@/ui/panel";
import { part } from "@/ui/part";
import { callMs } from "./events";
import { Folded } from "./folded";
import { SideLine } from "./items";

/** Its form comes with the first one that waits. */
const Decide = part(() => import("@/pages/approvals/decide"));

export interface ApprovalItem {
  kind: "approval";
  key: string;
  atMs: number;
  approval: Approval;
}

/** Those of a call, each where it was asked for. */
export function useApprovals(callId: string, answeredAt: string | null): readonly ApprovalItem[] {
  const { data: found } = useThing(
    ["approvals", "call", callId],
    (signal) => data(api.GET("/api/approvals", { params: { query: { call_id: callId, limit: 100 } }, signal })),
    { enabled: useCan("approvals:read") },
  );
  return (found?.approvals ?? []).map((approval) => ({ kind: "approval", key: `approval ${approval.id}`, atMs: callMs(approval.created_at, answeredAt) ?? 0, approval }));
}

export function ApprovalLine({ approval, atMs }: { approval: Approval; atMs: number }) {
  const isPending = approval.state === "pending";
  return (
    <SideLine
      icon={ShieldQuestion}
      atMs={atMs}
      title={approval.summary}
      badge={
        <>
          {isPending && <TimeLeft until={approval.expires_at} />}
          <StateBadge state={approval.state} />
        </>
      }
    >
      <Folded label={approval.tool} value={approval.arguments} />
      {isPending ? (
        <div className="py-1.5">
          <PanelBoundary>
            <Suspense fallback={<div className="h-8" />}>
              <Decide approval={approval} />
            </Suspense>
          </PanelBoundary>
        </div>
      ) : (
        <p className="pb-1">
          <Decision approval={approval} />
        </p>
      )}
    </SideLine>
  );
}
