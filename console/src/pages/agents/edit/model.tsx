import type { Schemas } from "@/api/client";
import { useTexts } from "@/i18n";
import { count, money } from "@/lib/format";
import { SelectField } from "@/ui/field";
import { useModels } from "../queries";
import { useField } from "./editing";
import { useIsOff, useLook } from "./plain-fields";

/** The model, with what was measured of it on the organization's own calls. */
export function ModelField() {
  const t = useTexts("agentForm");
  const [value, setValue] = useField("model");
  const models = useModels().data ?? [];
  const standard = models.find((each) => each.is_default);
  const chosen = value ? models.find((each) => each.name === value) : standard;
  const choices = [
    { value: "", label: standard ? t.defaultModel(standard.name) : "…" },
    ...models.map((each) => ({ value: each.name, label: each.kind ? `${each.name} · ${t.modelKinds[each.kind]}` : each.name })),
    ...(value && !chosen ? [{ value, label: value }] : []),
  ];
  return <SelectField {...useLook("model")} hint={chosen && <Figures of={chosen} />} choices={choices} value={value ?? ""} disabled={useIsOff()} onChange={(event) => setValue(event.target.value || null)} />;
}

function Figures({ of: model }: { of: Schemas["FlowModel"] }) {
  const t = useTexts("agentForm");
  const { first_sound_p50_ms: p50, first_sound_p95_ms: p95, minute_cost: cost } = model;
  const sentences = [
    p50 !== null && p95 !== null && t.firstSoundAfter(count(p50 / 1000), count(p95 / 1000)),
    cost !== null && t.minuteCost(money(Math.round(Number(cost.amount) * 1_000_000), cost.currency)),
    model.calls > 0 ? t.measuredOn(model.calls) : t.notMeasured,
    model.languages.length > 0 && t.speaksOnly(model.languages.join(", ")),
  ];
  return sentences.filter(Boolean).join(" ");
}
