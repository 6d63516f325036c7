import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Ban, Pause, Pencil, Play, Trash2 } from "lucide-react";
import { useRef, useState } from "react";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { asApiError, queryClient } from "@/api/queries";
import { useTexts } from "@/i18n";
import { count } from "@/lib/format";
import { Button, ButtonLink } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Card, Failure, Page, Skeleton } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { EditDraft } from "./edit";
import { AddRecipients, CampaignFacts, Counts } from "./facts";
import { Clocks, ForecastCard, useForecast } from "./forecast";
import { ProgressBar, StatusBadge } from "./parts";
import { type Campaign as Row, useCampaign } from "./queries";
import { Recipients } from "./recipients";

/** One campaign: a draft with what its launch would do, or how far it is. */
export function Campaign() {
  const t = useTexts("campaigns");
  const { id } = useParams({ from: "/shell/campaigns/$id" });
  const { edit } = useSearch({ from: "/shell/campaigns/$id" });
  const query = useCampaign(id);
  const campaign = query.data;
  const back = { to: "/campaigns", label: t.title } as const;
  if (!campaign) {
    const isGone = query.error && asApiError(query.error).status === 404;
    return (
      <Page title={t.campaign} back={back}>
        {isGone ? <p className="py-10 text-center text-dim">{t.gone}</p> : query.error ? <Failure error={query.error} onRetry={() => void query.refetch()} /> : <Skeleton lines={8} height="h-7" />}
      </Page>
    );
  }
  if (edit && campaign.status === "draft") return <EditDraft key={id} campaign={campaign} />;
  return (
    <Page
      title={campaign.name}
      back={back}
      lead={
        <span className="flex flex-wrap items-center gap-2">
          <StatusBadge status={campaign.status} />
          {campaign.reason && campaign.status !== "running" && <span>{t.reasons[campaign.reason] ?? campaign.reason_text ?? campaign.reason}</span>}
        </span>
      }
      actions={<Actions campaign={campaign} />}
    >
      <div className="grid gap-4 lg:grid-cols-[minmax(0,1.6fr)_minmax(0,1fr)]">
        <div className="grid content-start gap-4">
          {campaign.status === "draft" || campaign.status === "paused" ? <ForecastCard campaign={campaign} /> : null}
          {campaign.status !== "draft" && (
            <Card title={t.progress} actions={<span className="tabular text-[13px] text-dim">{t.ofRecipients(count(campaign.counts.total))}</span>}>
              <ProgressBar counts={campaign.counts} isTall />
              <Counts campaign={campaign} />
            </Card>
          )}
          <Recipients campaign={campaign} />
        </div>
        <div className="grid content-start gap-4">
          <CampaignFacts campaign={campaign} />
          {campaign.status === "draft" && <AddRecipients campaign={campaign} />}
        </div>
      </div>
    </Page>
  );
}

function LaunchLead({ campaign }: { campaign: Row }) {
  const t = useTexts("campaigns");
  const { data: forecast } = useForecast(campaign);
  const { status, counts } = campaign;
  return (
    <>
      {t.askLeads.launch(count(forecast?.recipients ?? (status === "draft" ? counts.total : counts.pending)))}
      {forecast && (
        <div className="mt-3">
          <Clocks forecast={forecast} />
        </div>
      )}
    </>
  );
}

type Act = "launch" | "pause" | "cancel" | "delete";

/** What can be done now. Launching and canceling ask first: texts that left don't come back. */
function Actions({ campaign }: { campaign: Row }) {
  const t = useTexts("campaigns");
  const navigate = useNavigate();
  const [asked, setAsked] = useState<Act | null>(null);
  const key = useRef(idempotencyKey());
  const { id, status } = campaign;
  const params = { path: { id } };
  const change = useChange(
    async (act: Act): Promise<Row | null> => {
      const header = { "Idempotency-Key": key.current };
      if (act === "launch") return data(api.POST("/api/sms/campaigns/{id}/launch", { params: { ...params, header }, body: {} }));
      if (act === "pause") return data(api.POST("/api/sms/campaigns/{id}/pause", { params: { ...params, header } }));
      if (act === "cancel") return data(api.POST("/api/sms/campaigns/{id}/cancel", { params: { ...params, header } }));
      await api.DELETE("/api/sms/campaigns/{id}", { params });
      return null;
    },
    [["campaigns", "list"]],
    {
      onDone: (next, act) => {
        setAsked(null);
        key.current = idempotencyKey();
        toast.done(t.did[act], act === "pause" ? { label: t.resume, run: () => change.mutate("launch") } : undefined);
        if (!next) return void navigate({ to: "/campaigns" }); // what is gone is not asked for again
        queryClient.setQueryData(["campaigns", id], next);
        return void queryClient.invalidateQueries({ queryKey: ["campaigns", id] });
      },
      onError: (error) => {
        if (!error.isPassing) key.current = idempotencyKey();
        return false;
      },
    },
  );
  const isDraft = status === "draft";
  const mayLaunch = isDraft || status === "paused";
  const mayPause = status === "queued" || status === "running";
  const mayCancel = mayPause || status === "paused";
  return (
    <>
      {isDraft && (
        <>
          <Button look="danger" icon={Trash2} needs="campaigns:write" onClick={() => setAsked("delete")}>
            {t.delete}
          </Button>
          <ButtonLink icon={Pencil} to="/campaigns/$id" params={{ id }} search={{ edit: true }}>
            {t.edit}
          </ButtonLink>
        </>
      )}
      {mayCancel && (
        <Button look="danger" icon={Ban} needs="campaigns:write" onClick={() => setAsked("cancel")}>
          {t.cancel}
        </Button>
      )}
      {mayPause && (
        <Button icon={Pause} needs="campaigns:write" busy={change.isPending} onClick={() => change.mutate("pause")}>
          {t.pause}
        </Button>
      )}
      {mayLaunch && (
        <Button look="primary" icon={Play} needs="campaigns:write" off={campaign.counts.total === 0 ? t.recipientsFirst : null} onClick={() => setAsked("launch")}>
          {isDraft ? t.launch : t.resume}
        </Button>
      )}
      {asked && (
        <Confirm isOpen onClose={() => setAsked(null)} title={t.askTitles[asked](campaign.name)} verb={asked === "launch" && !isDraft ? t.resume : t.verbs[asked]} needs="campaigns:write" isBusy={change.isPending} {...(asked === "cancel" ? { typed: t.cancelWord } : {})} onConfirm={() => change.mutate(asked)}>
          {asked === "launch" ? <LaunchLead campaign={campaign} /> : t.askLeads[asked](count(isDraft ? campaign.counts.total : campaign.counts.pending))}
        </Confirm>
      )}
    </>
  );
}
