/** What waits for somebody, beside the pages' names in the sidebar; the stream's news refetch it. The first page doesn't wait for it. */
import { api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { useThing } from "@/api/queries";
import type { NavItem } from "./nav";

/** More than that are not told apart. */
const MOST = 99;

export default function NavCount({ of }: { of: NavItem["label"] }) {
  const Counted = COUNTED[of];
  return Counted ? <Counted /> : null;
}

const COUNTED: Partial<Record<NavItem["label"], () => ReturnType<typeof Count>>> = { inbox: Texts, voicemails: Voicemails, approvals: Approvals };

function Texts() {
  const { data: inbox } = useThing(["inbox", "counts"], (signal) => data(api.GET("/api/sms/inbox", { signal })), { enabled: useCan("sms:read") });
  return <Count value={inbox?.unread.conversations} />;
}

function Voicemails() {
  const { data: board } = useThing(["dashboard"], (signal) => data(api.GET("/api/dashboard", { signal })), { enabled: useCan("analytics:read") });
  return <Count value={board?.unheard_voicemails} />;
}

/** Somebody may be on the phone while it waits: it is told wherever one is. */
function Approvals() {
  const { data: page } = useThing(["approvals", "pending", MOST + 1], (signal) => data(api.GET("/api/approvals", { params: { query: { state: "pending", limit: MOST + 1 } }, signal })), { enabled: useCan("approvals:read") });
  return <Count value={page?.approvals.length} />;
}

function Count({ value }: { value: number | undefined }) {
  if (!value) return null;
  return <span className="tabular rounded-full bg-accent px-1.5 md:max-lg:absolute md:max-lg:top-0 md:max-lg:right-0 text-[11px] leading-4.5 font-semibold text-on-accent">{value > MOST ? `${MOST}+` : value}</span>;
}
