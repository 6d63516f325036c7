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
  phone: {
    none: (text) => `«${text}» no es un número de teléfono. Escríbalo con su prefijo de zona, o con + y el prefijo del país.`,
    noCountry: "Escriba este número con + y el prefijo del país: no se sabe a qué país pertenece.",
    extension: "Quite la extensión: solo se puede llamar a un número completo.",
  },
  equalLines: (lines) => `${lines} líneas iguales, haga clic para verlas`,
};
export default texts;
