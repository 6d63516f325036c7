import type { Sections } from "../sections";

/** Lo que comparten los formularios hechos de un esquema, y el editor de JSON. */
const texts: Sections["forms"] = {
  unset: "Predeterminado",
  yes: "Sí",
  no: "No",
  add: "Añadir",
  addOne: (what) => `Añadir ${what}`,
  remove: (what) => `Quitar ${what}`,
  name: "Nombre",
  value: "Valor",
  item: (n) => `Elemento ${n}`,
  nameTaken: "Ya hay uno con este nombre.",
  mustBe: (what) => `Debe ser ${what}.`,
  notJson: "Esto no es JSON.",
  needed: "Necesario",
  nothing: "Ninguno todavía.",
  chars: (used, most) => `${used} de ${most} caracteres`,
  equalLines: (lines) => `${lines} líneas iguales, haga clic para verlas`,
};
export default texts;
