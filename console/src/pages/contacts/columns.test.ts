import { describe, expect, it } from "vitest";
import { readSheet } from "@/lib/sheet";
import { type DateOrder, dateOrderOf, faultOf, guessed } from "./columns";

describe("columns are guessed", () => {
  it.each([
    ["phone,name,company", ["phone_e164", "name", "company"]],
    ["Mobile Phone;E-mail Address;Full-Name", ["phone_e164", "email", "name"]],
    ["Teléfono,Nombre completo,Correo electrónico,Empresa,Notas,Etiquetas", ["phone_e164", "name", "email", "company", "notes", "tags"]],
    ["MÓVIL,Compañía,Observaciones,Grupo", ["phone_e164", "company", "notes", "tags"]],
    ["phone_e164,attributes_json", ["phone_e164", "attributes_json"]],
    ["line,reason,phone,Shoe size", ["ignore", "ignore", "phone_e164", "attribute:shoe_size"]],
    ["Phone,Mobile,,Straße", ["phone_e164", "ignore", "ignore", "attribute:stra_e"]],
    ["phone,電話", ["phone_e164", "attribute:電話"]],
    ["phone,First Name,Last Name", ["phone_e164", "first_name", "last_name"]],
    ["Last,First,MI,Prefix,Suffix,Cell", ["last_name", "first_name", "middle_name", "name_prefix", "name_suffix", "phone_e164"]],
    ["Teléfono,Nombre,Apellidos", ["phone_e164", "first_name", "last_name"]],
    ['phone,"Patient Name (Last, First)"', ["phone_e164", "last_first_name"]],
    ["phone,Full name,First name,Last name", ["phone_e164", "name", "first_name", "last_name"]],
    ["phone,Shoe,shoe", ["phone_e164", "attribute:shoe", "ignore"]],
  ])("%s", (header, targets) => expect(guessed(readSheet(`${header}\n`))).toEqual(targets));
  it("by what is in them", () => {
    expect(guessed(readSheet("who,reach\nAna,(317) 555-0001\nBen,\n"))).toEqual(["attribute:who", "phone_e164"]);
    expect(guessed(readSheet("phone,Birthday,Date of visit\n1,12/31/1985,\n2,1/2/1990,soon\n"))).toEqual(["phone_e164", "date:birthday", "attribute:date_of_visit"]);
    expect(guessed(readSheet("phone,Fecha de nacimiento\n1,31/12/1985\n"))).toEqual(["phone_e164", "date:fecha_de_nacimiento"]);
  });
});

describe("dates", () => {
  it.each([
    ["31/12/1985", "dmy"],
    ["12/31/1985", "mdy"],
    ["1985-12-31", "ymd"],
    ["1/2/1985\n13/2/1985", "dmy"],
    ["1/2/1985", "mdy"],
    ["", "mdy"],
  ] as const)("%s are read as %s", (dates, order: DateOrder) => expect(dateOrderOf(readSheet(`born\n${dates}\n`), ["date:born"], "mdy")).toBe(order));
});

describe("what can't be imported", () => {
  it.each([
    [["phone_e164", "name"], null],
    [["name", "ignore"], { why: "noPhone" }],
    [["phone_e164", "name", "name"], { why: "twice", target: "name" }],
    [["phone_e164", "attribute:x", "date:x"], { why: "twice", target: "date:x" }],
    [["phone_e164", "ignore", "ignore"], null],
    [Array.from({ length: 201 }, () => "ignore"), { why: "tooMany" }],
  ])("%j", (targets, fault) => expect(faultOf(targets)).toEqual(fault));
});
