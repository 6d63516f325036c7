import { useForm } from "react-hook-form";
import { useTexts } from "@/i18n";
import { SelectField, TextArea } from "@/ui/field";
import { Card } from "@/ui/layout";
import { type Organization, type Patch, useSave } from "./queries";
import { SaveBar } from "./save-bar";

const KEYWORDS = ["stop", "start", "help"] as const;
const FIELDS = ["keyword_replies", "keyword_texts_json"] as const;

interface Values {
  who: "carrier" | "hum";
  stop: string;
  start: string;
  help: string;
}

function valuesOf(organization: Organization): Values {
  const texts = organization.keyword_texts_json;
  return { who: organization.keyword_replies ?? "carrier", stop: texts?.stop ?? "", start: texts?.start ?? "", help: texts?.help ?? "" };
}

/** What people get who text STOP, START or HELP. */
export function Texts({ organization }: { organization: Organization }) {
  const t = useTexts("settings");
  const form = useForm<Values>({ values: valuesOf(organization), resetOptions: { keepDirtyValues: true } });
  const { errors, isDirty } = form.formState;
  const save = useSave(FIELDS, (field, message) => form.setError(field === "keyword_replies" ? "who" : "stop", { message }), (saved) => form.reset(valuesOf(saved)));
  const isHum = form.watch("who") === "hum";
  const send = (given: Values): void => {
    const texts = Object.fromEntries(KEYWORDS.filter((each) => given[each].trim()).map((each) => [each, given[each].trim()]));
    save.mutate({ keyword_replies: given.who, keyword_texts_json: Object.keys(texts).length ? texts : null } as Patch);
  };
  return (
    <Card title={t.keywords}>
      <form onSubmit={(event) => void form.handleSubmit(send)(event)}>
        <div className="max-w-sm">
          <SelectField
            label={t.keywordsWho}
            hint={t.keywordsHint}
            error={errors.who?.message}
            choices={[
              { value: "carrier", label: t.keywordsCarrier },
              { value: "hum", label: t.keywordsHum },
            ]}
            {...form.register("who")}
          />
        </div>
        <div className="mt-4 space-y-3">
          {KEYWORDS.map((each) => (
            <TextArea key={each} label={t.keywordTexts[each]} hint={isHum ? t.keywordDefault : t.keywordsOff} rows={2} maxLength={320} error={errors[each]?.message} {...form.register(each)} />
          ))}
        </div>
        <SaveBar isDirty={isDirty} isBusy={save.isPending} />
      </form>
    </Card>
  );
}
