/** What waits for somebody, beside the pages' names in the sidebar. The first page doesn't wait for it. */
import type { NavItem } from "./nav";
import { MOST, usePendingApprovals, useUnheardVoicemails, useUnreadTexts } from "./waiting";

export default function NavCount({ of }: { of: NavItem["label"] }) {
  const Counted = COUNTED[of];
  return Counted ? <Counted /> : null;
}

const COUNTED: Partial<Record<NavItem["label"], () => ReturnType<typeof Count>>> = { inbox: Texts, voicemails: Voicemails, approvals: Approvals };

function Texts() {
  return <Count value={useUnreadTexts()?.unread.conversations} />;
}

function Voicemails() {
  return <Count value={useUnheardVoicemails()} />;
}

function Approvals() {
  return <Count value={usePendingApprovals()} />;
}

function Count({ value }: { value: number | undefined }) {
  if (!value) return null;
  return <span className="tabular rounded-full bg-accent px-1.5 md:max-lg:absolute md:max-lg:top-0 md:max-lg:right-0 text-[11px] leading-4.5 font-semibold text-on-accent">{value > MOST ? `${MOST}+` : value}</span>;
}
