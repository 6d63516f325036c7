import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { type FieldError, api, data } from "@/api/client";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { Button } from "@/ui/button";
import { Page } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { Unsaved } from "@/ui/unsaved";
import { BLANK, type Draft, type Fields, fieldsOf } from "./draft";
import { ToolFields } from "./fields";
import { useIsAdmin } from "./queries";

export function NewTool() {
  const t = useTexts("tools");
  const forms = useTexts("forms");
  const navigate = useNavigate();
  const isAdmin = useIsAdmin();
  const attempt = useAttempt();
  const [draft, setDraft] = useState<Draft>(BLANK);
  const [errors, setErrors] = useState<readonly FieldError[]>([]);
  const create = useChange((fields: Fields) => data(api.POST("/api/tools", { params: { header: { "Idempotency-Key": attempt.key(fields) } }, body: fields })), [["tools"]], {
    onDone: (tool) => {
      toast.done(t.created(tool.name));
      setDraft(BLANK);
      // The blocker must see a clean form before the page is left.
      setTimeout(() => void navigate({ to: "/tools/$id", params: { id: tool.id } }), 0);
    },
    onError: (error) => {
      setErrors(error.details);
      return error.details.length > 0;
    },
  });
  const submit = (): void => {
    const { fields, faults } = fieldsOf(draft, forms.notJson);
    setErrors(faults);
    if (faults.length === 0 && !create.isPending) create.mutate(fields);
  };
  return (
    <Page
      title={t.create}
      lead={t.createLead}
      back={{ to: "/tools", label: t.title }}
      actions={
        <Button look="primary" needs="integrations:write" busy={create.isPending} off={draft.name.trim() ? null : t.nameFirst} onClick={submit}>
          {t.createIt}
        </Button>
      }
    >
      <form noValidate className="max-w-3xl" onSubmit={(event) => event.preventDefault()}>
        <ToolFields draft={draft} errors={errors} isOff={!isAdmin} onChange={(changes) => setDraft({ ...draft, ...changes })} />
      </form>
      <Unsaved isDirty={draft !== BLANK && !create.isPending} />
    </Page>
  );
}
