import type { Refusals } from "../table";

/** Webhooks and triggers. */
const sentences: Refusals["sentences"] = [
  ["The organization has {n} triggers, which is the limit.", "La organización tiene {n} disparadores, que es el límite."],
  ["The organization has {n} webhooks, which is the limit.", "La organización tiene {n} webhooks, que es el límite."],
  ["must be `whsec_` and 24 to 64 bytes in base64", "debe ser `whsec_` y de 24 a 64 bytes en base64"],
  ["The webhook is not enabled.", "El webhook no está activado."],
  ["is not a number of yours", "no es un número suyo"],
  ["is not a flow of yours", "no es un agente suyo"],
  ["is not the id of a {kind}", "no es el id de un {kind}"],
  ["The event was deleted, so it can't be sent again.", "El evento se eliminó, así que no se puede enviar de nuevo."],
  ["An attempt at this delivery is under way. Ask again when it has ended.", "Hay un intento de esta entrega en curso. Vuelva a pedirlo cuando termine."],
];

export default sentences;
