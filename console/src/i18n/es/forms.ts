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
  /** Fields of an object, each in a row. */
  rows: {
    name: "Campo",
    type: "Tipo",
    types: { string: "Texto", number: "Número", integer: "Número entero", boolean: "Sí o no", enum: "Uno de" },
    choices: "Opciones, una por línea",
    description: "Qué significa",
    needed: "Siempre",
    add: "Añadir un campo",
    asJson: "Este esquema tiene más de lo que un formulario puede mostrar. Edítelo como JSON.",
  },
  phone: {
    none: (text) => `«${text}» no es un número de teléfono. Escríbalo con su prefijo de zona, o con + y el prefijo del país.`,
    noCountry: "Escriba este número con + y el prefijo del país: no se sabe a qué país pertenece.",
    extension: "Quite la extensión: solo se puede llamar a un número completo.",
  },
  inProgress: "Esto todavía se está haciendo. Vuelva a mirar en un momento.",
  noList: {
    empty: (name, _most) => `${name} está vacío.`,
    picture: (name, _most) => `${name} es una imagen, no una lista. Una lista es un archivo CSV: una tabla guardada como texto.`,
    pdf: (name, _most) => `${name} es un PDF, no una lista. Una lista es un archivo CSV: una tabla guardada como texto.`,
    workbook: (name, _most) => `${name} es un libro de una hoja de cálculo. Guárdelo allí como CSV y elija ese archivo.`,
    sound: (name, _most) => `${name} es un sonido o un vídeo, no una lista. Una lista es un archivo CSV: una tabla guardada como texto.`,
    binary: (name, _most) => `${name} no contiene texto. Una lista es un archivo CSV: una tabla guardada como texto.`,
    tooLarge: (name, most) => `${name} supera ${most}. Divídalo en varios archivos.`,
  },
  equalLines: (lines) => `${lines} líneas iguales, haga clic para verlas`,
};
export default texts;
