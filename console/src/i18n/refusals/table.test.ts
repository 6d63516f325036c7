import { describe, expect, it, vi } from "vitest";
import spanish from "./es";
import { translator } from "./table";

const say = (message: string): string => spanish({ code: "", message }).message;

const made = translator({
  words: { state: { open: "abierta" } },
  sentences: [
    ["is required", "es obligatorio"],
    ["is longer than {n} characters", "tiene más de {n} caracteres"],
    ["There is no {kind} {id}.", "No existe {kind} {id}."],
    ["There is no {kind}.", "No existe {kind}."],
    ["{name} is {state}.", "{name} está {state}."],
    ["the plan {plan} has {used} of {limit}", "de {limit}, el plan {plan} tiene {used}"],
    ["has {{{name}}}, which is no variable", "tiene {{{name}}}, que no es una variable"],
    ["can't be read: {reason}", "no se puede leer: {reason}"],
    ["It is full. {reasons}.", "Está lleno. {reasons}."],
  ],
});

describe("a sentence", () => {
  it.each([
    ["is required", "es obligatorio"],
    ["is longer than 200 characters", "tiene más de 200 caracteres"],
    ["There is no contact contact_01H.", "No existe contact contact_01H."],
    ["There is no contact.", "No existe contact."],
    ["the plan start has 3 of 5", "de 5, el plan start tiene 3"],
    ["has {{you}}, which is no variable", "tiene {{you}}, que no es una variable"],
  ])("keeps its values: %s", (said, words) => expect(made(said)).toBe(words));

  it("has words where a place holds one of a few", () => {
    expect(made("It is open.")).toBe("It está abierta.");
    expect(made("It is constructor.")).toBe("It está constructor.");
  });

  it("may end with others", () => {
    expect(made("can't be read: is longer than 5 characters")).toBe("no se puede leer: tiene más de 5 caracteres");
    expect(made("can't be read: something else")).toBe("no se puede leer: something else");
    expect(made("It is full. Is required; is longer than 5 characters.")).toBe("Está lleno. Es obligatorio; tiene más de 5 caracteres.");
  });

  it.each(["", "$&", "{id}", "\n", "a is longer than b", "есть", "“it is open.”", ".*(.*)+$", "<b>x</b>"])("may hold anything: %j", (value) => {
    expect(made(`There is no ${value} 7.`)).toBe(`No existe ${value} 7.`);
    expect(made(`is longer than ${value} characters`)).toBe(`tiene más de ${value} caracteres`);
  });

  it.each(["", "required", "is required.", "Is required", "is longer than ", "is longer than characters", "the plan a has 3", "There is no"])("that isn't known stays: %j", (said) => expect(made(said)).toBe(said));
});

describe("a hostile message", () => {
  it("that is long is not looked at", () => {
    const long = `There is no ${" ".repeat(1 << 20)}.`;
    expect(made(long)).toBe(long);
    const nested = "can't be read: ".repeat(1 << 16);
    expect(made(nested)).toBe(nested);
  });

  it("costs no more than a few looks at each pattern", () => {
    const looks = vi.spyOn(String.prototype, "indexOf");
    for (const unit of ["can't be read: ", "The plan a allows ", "'a' is a dependency of ", "; ", " {", "is not allowed: has the name x: "]) say(unit.repeat(1000).slice(0, 1000));
    const count = looks.mock.calls.length;
    looks.mockRestore();
    expect(count).toBeLessThan(5000);
  });
});

describe("Spanish", () => {
  it.each([
    ["Some fields are invalid.", "Algunos campos no son válidos."],
    ["must be at most 200 characters", "debe tener como máximo 200 caracteres"],
    ["There is no contact contact_01JZX5.", "No existe el contacto contact_01JZX5."],
    ["The campaign is running already.", "La campaña ya está en curso."],
    ["The number +13175551234 uses this flow; assign it another flow first.", "El número +13175551234 usa este agente; asígnele otro primero."],
    ["This needs the role admin; yours is viewer.", "Esto necesita el rol de administrador; el suyo es lector."],
    ["The plan start allows 3 seats; 3 are used. Further seats can be paid for; the plan big allows more.", "El plan start permite 3 puestos; se usan 3. Se pueden pagar más puestos; el plan big permite más."],
    ["names {{x}}, which is unknown; known are contact.name", "nombra {{x}}, que no se conoce; se conocen contact.name"],
    ["has the name 'a b': must be letters, digits, _ and - only", "tiene el nombre 'a b': solo puede tener letras, cifras, _ y -"],
  ])("says %s", (said, words) => expect(say(said)).toBe(words));
});
