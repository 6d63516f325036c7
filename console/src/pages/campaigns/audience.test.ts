import { describe, expect, it } from "vitest";
import { readSheet } from "@/lib/sheet";
import { type Audience, countOf, firstOf, pagesOf, partsOf, previewOf, recipientsOf, unfilled, usedVariables, variablesOf } from "./audience";

const sheet: Audience = { kind: "sheet", name: "a.csv", phoneAt: 1, sheet: readSheet("First name,Phone,Due date\nAna,'+13175550001,Friday\nBen,,Monday\nCy,317-555-0002,\n") };

describe("an audience", () => {
  it("takes the other columns as variables, and leaves out rows without a number", () => {
    expect(variablesOf(sheet)).toEqual(["first_name", "due_date"]);
    expect(recipientsOf(sheet)).toEqual([
      { contact_e164: "+13175550001", variables: { first_name: "Ana", due_date: "Friday" } },
      { contact_e164: "317-555-0002", variables: { first_name: "Cy" } },
    ]);
  });
  it("is counted, shown and sent without being made as a whole", () => {
    expect(countOf(sheet)).toBe(2);
    expect(firstOf(sheet)).toEqual(recipientsOf(sheet)[0]);
    expect(partsOf(sheet).flatMap((part) => part())).toEqual(recipientsOf(sheet));
    const pasted: Audience = { kind: "pasted", text: "+13175550001\n+13175550002" };
    expect([countOf(pasted), firstOf(pasted), partsOf(pasted).length]).toEqual([2, { contact_e164: "+13175550001" }, 1]);
  });
  it("is sent in pages", () => expect(pagesOf([1, 2, 3, 4, 5], 2)).toEqual([[1, 2], [3, 4], [5]]));
});

describe("a text's variables", () => {
  it("are found, each once", () => expect(usedVariables("Hi {{first_name|there}}, {{ org.name }} {{first_name}}")).toEqual(["first_name", "org.name"]));
  it("are unsent without a value, unless another word stands for it", () => {
    expect(unfilled("Hi {{first_name|there}}, {{due}} {{contact.name}} {{place}}", ["place"])).toEqual({ unsent: ["due"], worded: ["first_name"] });
    expect(unfilled("Hi {{first_name|there}}", ["first_name"])).toEqual({ unsent: [], worded: [] });
  });
  it("are filled in, or their other word", () => expect(previewOf("Hi {{first_name|there}} {{due}} {{x}}", { due: "Friday" })).toBe("Hi there Friday {{x}}"));
});
