/** The form's sections, and which of them an agent has. */
import { type ReactNode, Suspense } from "react";
import { useTexts } from "@/i18n";
import { SelectField } from "@/ui/field";
import { Skeleton } from "@/ui/layout";
import { part } from "@/ui/part";
import { type Draft, startOf } from "../flow";
import { useEditing, useField } from "./editing";
import { EventsEditor } from "./events-editor";
import { RouteTags, TransferMap } from "./maps";
import { OutcomeEditor } from "./outcome-editor";
import { ModelField } from "./model";
import { FArea, FChoice, FNumber, FSwitch, FText, useIsOff, useLook } from "./plain-fields";
import { FSchema } from "./schema-field";
import { VoiceField } from "./voice";

const HoursEditor = part(async () => ({ default: (await import("../hours/hours-editor")).HoursEditor }));
const SaidHours = part(() => import("./said-hours"));

export const SECTIONS = ["basics", "events", "says", "voice", "hours", "transfers", "voicemail", "machine", "recording", "outcome", "texting", "limits"] as const;
export type SectionName = (typeof SECTIONS)[number];

/** The sections that concern an agent of this kind; those that have something in them stay in any case. */
export function sectionsOf(draft: Draft): SectionName[] {
  const start = startOf(draft);
  const only: Record<SectionName, boolean> = {
    basics: true,
    events: start === "event",
    says: true,
    voice: start === "call",
    hours: start !== "event",
    transfers: start !== "event" || draft.transfer_map_json !== null,
    voicemail: start === "call",
    machine: start === "call" && (draft.kind === "outbound" || draft.machine_action !== null),
    recording: start === "call",
    outcome: true,
    texting: start === "message",
    limits: start === "call",
  };
  return SECTIONS.filter((each) => only[each]);
}

const BODIES: Record<SectionName, () => ReactNode> = { basics: Basics, events: EventsEditor, says: Says, voice: Voice, hours: Hours, transfers: Transfers, voicemail: Voicemail, machine: Machine, recording: Recording, outcome: OutcomeEditor, texting: Texting, limits: Limits };

export function SectionBody({ name }: { name: SectionName }) {
  const Body = BODIES[name];
  return <Body />;
}

function Two({ children }: { children: ReactNode }) {
  return <div className="grid gap-x-4 gap-y-2 sm:grid-cols-2">{children}</div>;
}

function Basics() {
  const t = useTexts("agentForm");
  const { draft } = useEditing();
  return (
    <div className="space-y-2">
      <FText name="name" required />
      <Two>
        <ChannelField />
        <StartedBy />
        {startOf(draft) === "call" && <FChoice name="kind" choices={(["inbound", "outbound"] as const).map((value) => ({ value, label: t.kinds[value] }))} />}
        <FText name="language" placeholder="en-US" />
      </Two>
    </div>
  );
}

/** The channel; what starts the agent follows it, unless events do. */
function ChannelField() {
  const t = useTexts("agentForm");
  const [value, setValue] = useField("channel");
  const [trigger, setTrigger] = useField("trigger_type");
  return (
    <SelectField
      {...useLook("channel")}
      disabled={useIsOff()}
      value={value}
      choices={(["voice", "sms"] as const).map((each) => ({ value: each, label: t.channels[each] }))}
      onChange={(event) => {
        setValue(event.target.value === "sms" ? "sms" : "voice");
        if (trigger !== "event") setTrigger(event.target.value === "sms" ? "message" : "call");
      }}
    />
  );
}

/** Events, or else what the channel has. */
function StartedBy() {
  const t = useTexts("agentForm");
  const { draft } = useEditing();
  const own = draft.channel === "sms" ? "message" : "call";
  return (
    <FChoice
      name="trigger_type"
      choices={[
        { value: own, label: t.triggers.own },
        { value: "event", label: t.triggers.event },
      ]}
    />
  );
}

function Says() {
  const { draft } = useEditing();
  return (
    <div className="space-y-2">
      {startOf(draft) === "call" && <FArea name="greeting" rows={2} />}
      <FArea name="system_prompt" rows={14} isCounted />
      {startOf(draft) !== "event" && <Suspense><SaidHours /></Suspense>}
    </div>
  );
}

function Voice() {
  return (
    <div className="space-y-3">
      <Two>
        <VoiceField />
        <ModelField />
      </Two>
      <FSchema name="turn_config_json" />
      <FSchema name="filler_phrases" />
      <FArea name="hold_phrase" rows={2} />
      <FSchema name="idle_prompts_json" isEmptyKept />
      <Two>
        <FNumber name="idle_end_seconds" />
        <FText name="goodbye_message" />
      </Two>
    </div>
  );
}

function Hours() {
  const [value, setValue] = useField("business_hours_json");
  const { errors } = useEditing();
  const isOff = useIsOff();
  return (
    <Suspense fallback={<Skeleton lines={8} />}>
      <HoursEditor value={value} onChange={setValue} errors={errors.filter((each) => each.field.startsWith("business_hours_json"))} isOff={isOff} />
    </Suspense>
  );
}

function Transfers() {
  const { draft } = useEditing();
  return (
    <div className="space-y-5">
      <TransferMap />
      {startOf(draft) === "call" && (
        <>
          <FText name="whisper_text" />
          <RouteTags />
        </>
      )}
    </div>
  );
}

function Voicemail() {
  return (
    <div className="space-y-3">
      <FArea name="after_hours_message" rows={2} />
      <FSwitch name="voicemail_enabled" />
      <FArea name="voicemail_greeting" rows={2} />
    </div>
  );
}

function Machine() {
  const t = useTexts("agentForm");
  const { draft } = useEditing();
  return (
    <div className="space-y-2">
      <FChoice name="machine_action" choices={["", "none", "hang_up", "message"].map((value) => ({ value, label: t.machineActions[value || "unset"] ?? value }))} />
      {draft.machine_action === "message" && <FArea name="machine_message" rows={2} />}
    </div>
  );
}

function Recording() {
  const t = useTexts("agentForm");
  const { draft } = useEditing();
  return (
    <div className="space-y-3">
      <Two>
        <FChoice name="recording_enabled" choices={["", "true", "false"].map((value) => ({ value, label: t.recordings[value || "unset"] ?? value }))} />
        <div className="sm:pt-5">
          <FSwitch name="announce_recording" />
        </div>
      </Two>
      {draft.recording_enabled === true && !draft.announce_recording && <p role="status" className="rounded-card bg-warn-soft px-3 py-2 text-warn">{t.unannounced}</p>}
      <FSchema name="recording_rules_json" />
    </div>
  );
}

function Texting() {
  return <FSchema name="sms_config_json" />;
}

function Limits() {
  return (
    <div className="space-y-2">
      <Two>
        <FNumber name="max_call_seconds" />
        <FNumber name="limit_warning_seconds" />
      </Two>
      <FText name="limit_warning_message" />
    </div>
  );
}
