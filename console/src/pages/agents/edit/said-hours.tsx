import { HoursMentions } from "../hours/mentions";
import { useHoursPreview } from "../hours/preview";
import { useEditing } from "./editing";

/** What the instructions say of hours besides those in force. */
export default function SaidHours() {
  const { draft } = useEditing();
  return <HoursMentions mentions={useHoursPreview(draft.business_hours_json, draft.system_prompt).data?.mentions ?? []} />;
}
