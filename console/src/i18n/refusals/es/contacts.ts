import type { Refusals } from "../table";

/** Contacts and their files. */
const sentences: Refusals["sentences"] = [
  ["must name the column of the phone number", "debe indicar la columna del número de teléfono"],
  ["has no column for the phone number; call it phone_e164 or phone", "no tiene columna para el número de teléfono; llámela phone_e164 o phone"],
  ["has two columns for {name}", "tiene dos columnas para {name}"],
  ["are {n}, but the file has {count}", "son {n}, pero el archivo tiene {count}"],
  ["the header is longer than {n} bytes", "la cabecera ocupa más de {n} bytes"],
  ["the header {reason}", "la cabecera {reason}"],
  ["is not CSV: {why}", "no es CSV: {why}"],
  ["is larger than {n} bytes; import it in parts", "ocupa más de {n} bytes; impórtelo por partes"],
  ["{n} imports of this organization are in progress; try again when one has ended.", "La organización tiene {n} importaciones en curso; inténtelo de nuevo cuando termine una."],
  ["Contacts are not looked up at the carrier here.", "Aquí no se consulta al operador sobre los contactos."],
  ["The contact was looked up within the last day; what the carrier says is new.", "Se consultó sobre el contacto en el último día; lo que dice el operador es reciente."],
  ["The organization has made {n} look-ups today, which is the limit; ask again after midnight UTC.", "La organización ha hecho hoy {n} consultas, que es el límite; vuelva a pedirlo después de la medianoche UTC."],
  ["A contact has at most {n} links; remove one first.", "Un contacto tiene como máximo {n} vínculos; quite uno primero."],
  ["These contacts are not linked.", "Estos contactos no están vinculados."],
];

export default sentences;
