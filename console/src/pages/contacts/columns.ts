/** What the columns of a list become in contacts: guessed from their titles and what is in them, chosen by a person. */
import { type Sheet, isPhoneLike, variableName } from "@/lib/sheet";

export const FIELDS = ["phone_e164", "name", "email", "company", "notes", "tags"] as const;
/** Parts of a name, of which the server makes one. */
export const NAME_PARTS = ["first_name", "last_name", "middle_name", "name_prefix", "name_suffix", "last_first_name"] as const;
export type Field = (typeof FIELDS)[number] | (typeof NAME_PARTS)[number] | "attributes_json";
export const IGNORE = "ignore";
/** A field, `attribute:name`, `date:name`, or `ignore`, as the API has them. */
export type Target = string;
export type DateOrder = "ymd" | "dmy" | "mdy";
export const DATE_ORDERS: readonly DateOrder[] = ["ymd", "dmy", "mdy"];
/** What the server reads of a header, and how many columns. */
export const MOST_COLUMNS = 200;
const SAMPLES = 200;

/** Titles without accents, in lower case, with spaces between words. English and Spanish, and what usual programs write. */
const TITLES: Record<Field, string> = {
  phone_e164: "phone, phone number, telephone, telephone number, tel, mobile, mobile phone, mobile number, cell, cell phone, cellphone, number, phone e164, phone 1 value, telefono, numero, numero de telefono, movil, celular, telefono movil, telefon, handy, whatsapp",
  name: "name, full name, contact, contact name, display name, customer, customer name, client, client name, patient, patient name, nombre, nombre completo, nombre y apellidos, contacto, cliente, paciente",
  email: "email, e mail, email address, e mail address, mail, e mail 1 value, correo, correo electronico, direccion de correo",
  company: "company, organization, organisation, company name, business, business name, account, organization name, organization 1 name, empresa, organizacion, compania",
  notes: "notes, note, comment, comments, remarks, nota, notas, comentario, comentarios, observaciones",
  tags: "tags, tag, labels, label, groups, group, etiqueta, etiquetas, grupo, grupos",
  attributes_json: "attributes, attributes json, atributos",
  first_name: "first name, firstname, first, given name, given names, forename, patient first name, client first name, customer first name, contact first name, primer nombre, nombre de pila, nombres, vorname, prenom",
  last_name: "last name, lastname, last, family name, surname, patient last name, client last name, customer last name, contact last name, apellido, apellidos, nachname, nom de famille",
  middle_name: "middle name, middlename, middle, middle initial, mi, patient middle name, segundo nombre",
  name_prefix: "prefix, name prefix, honorific, courtesy title, mr/mrs, tratamiento",
  name_suffix: "suffix, name suffix, sufijo",
  last_first_name: "last name first name, last first, last first middle, lastname firstname, patient name last first, apellidos nombre, apellido nombre",
};
const BY_TITLE = new Map(Object.entries(TITLES).flatMap(([field, titles]) => titles.split(", ").map((title) => [title, field] as const)));
/** Columns that the file of rows that were not imported has besides the list's own. */
const OURS = new Set(["line", "reason"]);
const DATED = /birth|born|\bdob\b|\bdate\b|fecha|nacimiento|cumple|anniversary|aniversario/;

function wordsOf(title: string): string {
  return title
    .normalize("NFD")
    .replaceAll(/[\u0300-\u036F]/g, "")
    .toLowerCase()
    .replaceAll(/[\s_.,()-]+/g, " ")
    .trim();
}

/** The name of the attribute that a column becomes by itself. */
export function attributeOf(title: string): string {
  return variableName(title) || title.trim().slice(0, 60);
}

/** What each column becomes unless somebody chooses. No two become the same field. */
export function guessed(sheet: Sheet): Target[] {
  const taken = new Set<Target>();
  const targets = sheet.header.map((title, at) => {
    const target = guessOf(title, samplesOf(sheet, at));
    const same = target.replace(/^date:/, "attribute:");
    if (target === IGNORE || taken.has(same)) return IGNORE;
    taken.add(same);
    return target;
  });
  if (taken.has("last_name") && !taken.has("first_name") && taken.has("name")) targets[targets.indexOf("name")] = "first_name"; // "Nombre", "Apellidos"
  if (!taken.has("phone_e164")) {
    const at = sheet.header.findIndex((_, column) => {
      const samples = samplesOf(sheet, column);
      return samples.length > 0 && samples.every(isPhoneLike);
    });
    if (at >= 0) targets[at] = "phone_e164";
  }
  return targets;
}

function guessOf(title: string, samples: readonly string[]): Target {
  const words = wordsOf(title);
  const field = BY_TITLE.get(words);
  if (field) return field;
  if (words === "" || OURS.has(words)) return IGNORE;
  const isDate = DATED.test(words) && samples.length > 0 && samples.every((each) => partsOf(each) !== null);
  return `${isDate ? "date" : "attribute"}:${attributeOf(title)}`;
}

/** The first values of a column that are not empty. */
export function samplesOf(sheet: Sheet, at: number): string[] {
  return sheet.rows.slice(0, SAMPLES).map((row) => (row[at] ?? "").trim()).filter(Boolean);
}

function partsOf(text: string): [number, number, number] | null {
  const found = /^(\d{1,4})\s?[./\- ]\s?(\d{1,2})\s?[./\- ]\s?(\d{1,4})(?:[ T].*)?$/.exec(text);
  return found && [Number(found[1]), Number(found[2]), Number(found[3])];
}

/** How the dates of a list are written, by those that can be only one thing; `otherwise` if none tells. */
export function dateOrderOf(sheet: Sheet, targets: readonly Target[], otherwise: DateOrder): DateOrder {
  const dates = targets.flatMap((target, at) => (target.startsWith("date:") ? samplesOf(sheet, at) : [])).flatMap((each) => partsOf(each) ?? []);
  const triples = Array.from({ length: dates.length / 3 }, (_, at) => dates.slice(at * 3, at * 3 + 3) as [number, number, number]);
  if (triples.length > 0 && triples.every(([first]) => first > 31)) return "ymd";
  if (triples.some(([first]) => first > 12 && first <= 31)) return "dmy";
  return triples.some(([first, second]) => first <= 12 && second > 12) ? "mdy" : otherwise;
}

/** What keeps these columns from being imported: no numbers, or two for one thing. */
export function faultOf(targets: readonly Target[]): { why: "noPhone" } | { why: "tooMany" } | { why: "twice"; target: Target } | null {
  if (targets.length > MOST_COLUMNS) return { why: "tooMany" };
  const seen = new Set<Target>();
  for (const target of targets) {
    const same = target.replace(/^date:/, "attribute:");
    if (target !== IGNORE && seen.has(same)) return { why: "twice", target };
    seen.add(same);
  }
  return seen.has("phone_e164") ? null : { why: "noPhone" };
}
