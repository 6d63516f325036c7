import { useState } from "react";
import { useTexts } from "@/i18n";
import { TextArea } from "@/ui/field";
import { isUnder } from "@/ui/schema-form/path";
import { rowsOf } from "@/ui/schema-rows/rows";
import { SchemaRows } from "@/ui/schema-rows/schema-rows";
import type { Draft } from "../flow";
import { useEditing, useField } from "./editing";
import { useIsOff } from "./plain-fields";

const PATH = "outcome_schema_json";

/** What the agent reports, as rows; a schema that has more stays JSON. */
export function OutcomeEditor() {
  const t = useTexts("agentForm");
  const { errors } = useEditing();
  const [value, setValue] = useField("outcome_schema_json");
  const isOff = useIsOff();
  const rows = rowsOf(value);
  if (!rows) return <Raw value={value} isOff={isOff} onChange={setValue} />;
  const { label, hint } = t.fields.outcome_schema_json;
  return <SchemaRows label={label} hint={hint ?? ""} none={t.reportsNothing} rows={rows} schema={value} path={PATH} errors={errors} isOff={isOff} onChange={(schema) => setValue(schema as Draft["outcome_schema_json"])} />;
}

function Raw({ value, onChange, isOff }: { value: Draft["outcome_schema_json"]; onChange: (next: Draft["outcome_schema_json"]) => void; isOff: boolean }) {
  const t = useTexts("agentForm");
  const forms = useTexts("forms");
  const { errors } = useEditing();
  const [text, setText] = useState(() => JSON.stringify(value, null, 2));
  const [isWrong, setWrong] = useState(false);
  const refused = errors.find((each) => isUnder(each.field, PATH))?.reason;
  return (
    <TextArea
      label={t.fields.outcome_schema_json.label}
      hint={forms.rows.asJson}
      error={isWrong ? forms.notJson : refused}
      isMono
      rows={10}
      spellCheck={false}
      disabled={isOff}
      value={text}
      onChange={(event) => {
        setText(event.target.value);
        try {
          const next = event.target.value.trim() === "" ? null : (JSON.parse(event.target.value) as Draft["outcome_schema_json"]);
          setWrong(next !== null && (typeof next !== "object" || Array.isArray(next)));
          if (next === null || (typeof next === "object" && !Array.isArray(next))) onChange(next);
        } catch {
          setWrong(true);
        }
      }}
    />
  );
}
