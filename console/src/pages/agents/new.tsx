import { Link, getRouteApi, useNavigate } from "@tanstack/react-router";
import { Copy, FilePlus2, type LucideIcon, Sparkles } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { useAllFlows } from "@/api/flows";
import { meQuery, useCan } from "@/api/me";
import { asApiError, useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { SelectField, Switch, TextField } from "@/ui/field";
import { Card, Failure, Page } from "@/ui/layout";
import { reasonAt } from "@/ui/schema-form/path";
import { toast } from "@/ui/toast";
import { DescribeForm, ProposalView, proposedFields, useProposal } from "./describe/describe";
import { BLANK, type Changes, type Draft, type FieldName, type Flow } from "./flow";
import { useCreate, useDuplicate } from "./queries";

const route = getRouteApi("/shell/agents/new");
type OrganizationHours = Schemas["OrganizationPatch"]["business_hours_json"];
type How = "describe" | "blank" | "copy";
const WAYS: readonly [How, LucideIcon][] = [["describe", Sparkles], ["blank", FilePlus2], ["copy", Copy]];

/** Three ways to a new agent. */
export function NewAgent() {
  const t = useTexts("agents");
  const d = useTexts("describe");
  const how = route.useSearch({ select: (search) => search.how ?? "describe" });
  return (
    <Page title={t.newAgent} back={{ to: "/agents", label: t.title }}>
      <nav aria-label={d.ways} className="mb-5 grid max-w-3xl gap-3 sm:grid-cols-3">
        {WAYS.map(([way, Icon]) => (
          <Link
            key={way}
            to="/agents/new"
            search={{ how: way }}
            replace
            aria-current={way === how ? "page" : undefined}
            className={`flex items-start gap-3 rounded-card border p-3 ${way === how ? "border-accent bg-accent-soft" : "border-line bg-surface hover:bg-hover"}`}
          >
            <Icon size={18} aria-hidden className="mt-0.5 shrink-0 text-accent" />
            <span>
              <span className="block font-medium">{d.way[way].title}</span>
              <span className="block text-xs text-dim">{d.way[way].lead}</span>
            </span>
          </Link>
        ))}
      </nav>
      {how === "describe" && <Described />}
      {how === "blank" && <Blank />}
      {how === "copy" && <Copied />}
    </Page>
  );
}

/** Goes to what was made. */
function useArrival(): (flow: Flow) => void {
  const t = useTexts("agents");
  const navigate = useNavigate();
  return (flow) => {
    toast.done(t.duplicated(flow.name ?? ""));
    void navigate({ to: "/agents/$id", params: { id: flow.id } });
  };
}

function Described() {
  const d = useTexts("describe");
  const proposing = useProposal();
  const create = useCreate(useArrival());
  const [refused, setRefused] = useState<ReadonlySet<FieldName>>(new Set());
  const [isForAll, setForAll] = useState(false);
  const organization = useThing(["organization"], (signal) => data(api.GET("/api/organization", { signal })), { enabled: useCan("team:read") }).data;
  const mayShare = useCan("team:write") && organization?.business_hours_json === null;
  const sharing = useChange((hours: OrganizationHours) => data(api.PATCH("/api/organization", { body: { business_hours_json: hours } })), [["organization"], meQuery.queryKey], {});
  const accept = async (): Promise<void> => {
    const proposal = proposing.data;
    if (!proposal?.flow) return;
    const { flow } = proposal;
    const without = new Set(refused);
    if (isForAll && mayShare && flow.business_hours_json && !refused.has("business_hours_json")) {
      // Where they are the organization's, the agent follows them.
      try {
        await sharing.mutateAsync(flow.business_hours_json as OrganizationHours);
      } catch {
        return;
      }
      without.add("business_hours_json");
    }
    const fields: Changes = { ...(flow.channel ? { channel: flow.channel } : {}), ...(flow.kind ? { kind: flow.kind } : {}), ...Object.fromEntries(proposedFields(proposal, BLANK).filter((name) => name === "name" || !without.has(name)).map((name) => [name, flow[name]])) };
    create.mutate({ ...fields, name: flow.name ?? d.unnamed });
  };
  return (
    <div className="grid items-start gap-5 lg:grid-cols-[minmax(0,26rem)_minmax(0,1fr)]">
      <Card>
        <DescribeForm channel="voice" proposing={proposing} />
      </Card>
      <div className="min-w-0 space-y-3">
        {create.error && <Failure error={create.error} />}
        <ProposalView
          proposing={proposing}
          base={BLANK}
          refused={refused}
          onRefuse={setRefused}
          aboutHours={
            <div className="mt-1 text-[13px]">
              {!mayShare && <p className="text-dim">{d.ownHours}</p>}
              {mayShare && <Switch label={d.hoursForAll} hint={isForAll ? d.hoursForAllHint : d.ownHours} checked={isForAll} onChange={(event) => setForAll(event.target.checked)} />}
            </div>
          }
          accept={
            <Button look="primary" needs="flows:write" busy={create.isPending || sharing.isPending} onClick={() => void accept()}>
              {d.createThis}
            </Button>
          }
        />
      </div>
    </div>
  );
}

function Blank() {
  const form = useTexts("agentForm");
  const d = useTexts("describe");
  const create = useCreate(useArrival());
  const [fields, setFields] = useState<Pick<Draft, "channel" | "kind"> & { name: string }>({ name: "", channel: "voice", kind: "inbound" });
  const refusal = create.error ? asApiError(create.error) : null;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const named = { ...fields, name: fields.name.trim() };
    if (named.name && !create.isPending) create.mutate(named);
  };
  return (
    <div className="max-w-xl">
      <Card>
        <form onSubmit={submit}>
          <TextField {...form.fields.name} autoFocus required maxLength={120} error={reasonAt(refusal?.details ?? [], "name")} value={fields.name} onChange={(event) => setFields({ ...fields, name: event.target.value })} />
          <div className="grid gap-x-4 sm:grid-cols-2">
            <SelectField label={form.fields.channel.label} value={fields.channel} choices={(["voice", "sms"] as const).map((value) => ({ value, label: form.channels[value] }))} onChange={(event) => setFields({ ...fields, channel: event.target.value === "sms" ? "sms" : "voice" })} />
            {fields.channel === "voice" && (
              <SelectField label={form.fields.kind.label} value={fields.kind} choices={(["inbound", "outbound"] as const).map((value) => ({ value, label: form.kinds[value] }))} onChange={(event) => setFields({ ...fields, kind: event.target.value === "outbound" ? "outbound" : "inbound" })} />
            )}
          </div>
          <Button look="primary" type="submit" needs="flows:write" busy={create.isPending} off={fields.name.trim() ? null : d.nameFirst}>
            {d.create}
          </Button>
        </form>
      </Card>
    </div>
  );
}

function Copied() {
  const d = useTexts("describe");
  const flows = useAllFlows().data ?? [];
  const [id, setId] = useState("");
  const duplicate = useDuplicate(useArrival());
  return (
    <div className="max-w-xl">
      <Card>
        <SelectField label={d.copyOf} value={id} choices={[{ value: "", label: d.choose, isOff: true }, ...flows.map((each) => ({ value: each.id, label: each.name ?? each.id }))]} onChange={(event) => setId(event.target.value)} />
        <Button look="primary" needs="flows:write" busy={duplicate.isPending} off={id ? null : flows.length > 0 ? d.choose : d.noneToCopy} onClick={() => duplicate.mutate(id)}>
          {d.create}
        </Button>
      </Card>
    </div>
  );
}
