/** What forms share that are made from a schema, and the JSON editor. */
export default {
  unset: "Default",
  yes: "Yes",
  no: "No",
  add: "Add",
  addOne: (what: string) => `Add ${what}`,
  remove: (what: string) => `Remove ${what}`,
  name: "Name",
  value: "Value",
  item: (n: number) => `Item ${n}`,
  nameTaken: "There is one by this name.",
  mustBe: (what: string) => `Must be ${what}.`,
  notJson: "This is no JSON.",
  needed: "Needed",
  nothing: "None yet.",
  chars: (used: string, most: string) => `${used} of ${most} characters`,
  phone: {
    none: (text: string) => `“${text}” is not a phone number. Write it with its area code, or with + and the country's code.`,
    noCountry: "Write this number with + and its country's code: it isn't known which country it belongs to.",
    extension: "Leave the extension out: only a whole number can be called.",
  },
  /** Why a file is no list; a limit where there is one. */
  noList: {
    empty: (name: string, _most: string) => `${name} is empty.`,
    picture: (name: string, _most: string) => `${name} is a picture, no list. A list is a CSV file: a table that was saved as text.`,
    pdf: (name: string, _most: string) => `${name} is a PDF, no list. A list is a CSV file: a table that was saved as text.`,
    workbook: (name: string, _most: string) => `${name} is a workbook of a spreadsheet. Save it there as CSV, and choose that file.`,
    sound: (name: string, _most: string) => `${name} is a sound or a video, no list. A list is a CSV file: a table that was saved as text.`,
    binary: (name: string, _most: string) => `${name} holds no text. A list is a CSV file: a table that was saved as text.`,
    tooLarge: (name: string, most: string) => `${name} is larger than ${most}. Divide it into several files.`,
  },
  equalLines: (lines: string) => `${lines} equal lines, click to see them`,
};
