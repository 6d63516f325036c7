import { useBlocker, useNavigate } from "@tanstack/react-router";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { queryClient } from "@/api/queries";
import { useTexts } from "@/i18n";
import { Button, ButtonLink } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Card, Page } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { CampaignFields, type Values, bodyOf, showFaults, useCampaignForm } from "./form";
import type { Campaign } from "./queries";

/** A draft's own fields; its recipients are on its page. */
export function EditDraft({ campaign }: { campaign: Campaign }) {
  const t = useTexts("campaigns");
  const navigate = useNavigate();
  const form = useCampaignForm(campaign);
  const { isDirty } = form.formState;
  const { id } = campaign;
  const save = useChange((values: Values) => data(api.PATCH("/api/sms/campaigns/{id}", { params: { path: { id } }, body: bodyOf(values) })), [["campaigns"]], {
    onDone: (next) => {
      queryClient.setQueryData(["campaigns", id], next);
      toast.done(t.saved);
      void navigate({ to: "/campaigns/$id", params: { id }, ignoreBlocker: true });
    },
    onError: (error) => showFaults(form, error.details),
  });
  const blocker = useBlocker({ shouldBlockFn: () => isDirty, enableBeforeUnload: () => isDirty, withResolver: true });
  return (
    <Page title={t.editTitle(campaign.name)} back={{ to: "/campaigns", label: t.title }}>
      <form className="max-w-2xl space-y-4" onSubmit={(event) => void form.handleSubmit((values) => save.mutate(values))(event)}>
        <Card title={t.what}>
          <CampaignFields form={form} variables={[]} />
        </Card>
        <div className="flex gap-2">
          <Button look="primary" type="submit" needs="campaigns:write" busy={save.isPending} off={isDirty ? null : t.nothingChanged} onClick={() => undefined}>
            {t.save}
          </Button>
          <ButtonLink to="/campaigns/$id" params={{ id }}>
            {t.back}
          </ButtonLink>
        </div>
      </form>
      <Confirm isOpen={blocker.status === "blocked"} onClose={() => blocker.reset?.()} title={t.leaveTitle} verb={t.leave} onConfirm={() => blocker.proceed?.()}>
        {t.leaveLead}
      </Confirm>
    </Page>
  );
}
