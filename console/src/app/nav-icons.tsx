/** The pages' pictures: loaded beside the first page, which doesn't wait for them. */
import { Activity, BarChart3, BookOpen, Bot, Building2, CircleQuestionMark, ClipboardCheck, CreditCard, Hash, House, Inbox, KeyRound, Megaphone, PhoneCall, Plug, ScrollText, Settings, Users, UsersRound, Voicemail, Webhook, Wrench, Zap, type LucideIcon } from "lucide-react";
import type { NavItem } from "./nav";

const ICONS: Partial<Record<NavItem["label"], LucideIcon>> = {
  home: House,
  calls: PhoneCall,
  inbox: Inbox,
  voicemails: Voicemail,
  approvals: ClipboardCheck,
  contacts: Users,
  campaigns: Megaphone,
  agents: Bot,
  numbers: Hash,
  knowledge: BookOpen,
  tools: Wrench,
  mcpServers: Plug,
  crm: Building2,
  webhooks: Webhook,
  triggers: Zap,
  events: Activity,
  analytics: BarChart3,
  team: UsersRound,
  apiKeys: KeyRound,
  auditLog: ScrollText,
  billing: CreditCard,
  settings: Settings,
  requests: Building2,
  guides: CircleQuestionMark,
};

export default function NavIcon({ of }: { of: NavItem["label"] }) {
  const Icon = ICONS[of];
  return Icon ? <Icon size={16} aria-hidden /> : null;
}
