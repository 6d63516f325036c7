/** What is seldom done with a call. */
import { useNavigate } from "@tanstack/react-router";
import { Ban, FileJson, MessageSquare, Trash2, UserPlus } from "lucide-react";
import { can, useMe } from "@/api/me";
import { useTexts } from "@/i18n";
import { isE164 } from "@/lib/format";
import { otherParty } from "@/lib/party";
import { Menu, type MenuItem } from "@/ui/menu";
import { asApiError } from "@/api/queries";
import { toast } from "@/ui/toast";
import { type CallDetail, wholeCall } from "../queries";
import type { Open } from "./dialogs";

export default function More({ call, isLive: live, setOpen }: { call: CallDetail; isLive: boolean; setOpen: (open: Open) => void }) {
  const t = useTexts("call");
  const shell = useTexts("shell");
  const me = useMe();
  const navigate = useNavigate();
  const isNumber = isE164(otherParty(call));
  const needs = (permission: "calls:write" | "contacts:write" | "sms:write"): string | null => (can(me, permission) ? null : shell.needsPermission((me.role && shell.roles[me.role]) ?? ""));
  const onlyAdmins = me.role === "admin" ? null : t.adminsOnly;
  const items: (MenuItem | false)[] = [
    isNumber && { label: call.contact?.name ? t.openContact : t.makeContact, icon: UserPlus, off: call.contact?.name ? null : needs("contacts:write"), onSelect: () => (call.contact?.name ? void navigate({ to: "/contacts/$id" as string, params: { id: call.contact.id } as never }) : setOpen("contact")) },
    isNumber && { label: t.textCaller, icon: MessageSquare, off: needs("sms:write"), onSelect: () => void navigate({ to: "/inbox" as string, search: { to: otherParty(call) } as never }) },
    isNumber && { label: t.blockCaller, icon: Ban, off: needs("calls:write"), onSelect: () => setOpen("block") },
    { label: t.downloadJson, icon: FileJson, onSelect: () => void wholeCall(call.id).then(saveJson, (error: unknown) => toast.refusal(asApiError(error))) },
    { label: t.deleteCall, icon: Trash2, isDanger: true, off: live ? t.deleteWhenOver : onlyAdmins, onSelect: () => setOpen("delete") },
  ];
  return <Menu label={t.more} items={items} />;
}

/** The record as the API has it. */
function saveJson(call: CallDetail): void {
  const url = URL.createObjectURL(new Blob([JSON.stringify(call, null, 2)], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${call.id}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
