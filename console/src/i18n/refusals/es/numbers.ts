import type { Refusals } from "../table";

/** Numbers, the carrier. */
const sentences: Refusals["sentences"] = [
  ["The number is not for sale.", "El número no está a la venta."],
  ["Another request of your organization is buying this number.", "Otra solicitud de su organización está comprando este número."],
  ["The carrier did not confirm the order; HUM checks again within a minute.", "El operador telefónico no confirmó el pedido; HUM lo comprueba de nuevo en un minuto."],
  ["The number was bought and has since been released.", "El número se compró y después se liberó."],
  ["The organization has {n} numbers; the limit is {limit}.", "La organización tiene {n} números; el límite es {limit}."],
  ["The organization bought {n} numbers in 24 hours; the limit is {limit}.", "La organización compró {n} números en 24 horas; el límite es {limit}."],
  ["The organization bought {n} numbers this month (UTC); the limit is {limit}, also if numbers are released.", "La organización compró {n} números este mes (UTC); el límite es {limit}, aunque se liberen números."],
  ["The number has a call in progress; release it when the call has ended.", "El número tiene una llamada en curso; libérelo cuando termine."],
  ["This deployment has several organizations, so its operator assigns the numbers of the carrier account (hum admin assign-number); buy a number, or ask the operator for one.", "Esta instalación tiene varias organizaciones, así que su operador asigna los números de la cuenta telefónica (hum admin assign-number); compre un número o pídale uno."],
  ["must be a flow of the channel {channel}", "debe ser un agente {channel}"],
  ["The carrier's API returned an unexpected error: {why}", "El operador telefónico devolvió un error inesperado: {why}"],
  ["The carrier refused: {why}", "El operador telefónico lo rechazó: {why}"],
  ["The carrier can't be reached: {why}.", "No se puede contactar con el operador telefónico: {why}."],
  ["The carrier did not respond: {why}.", "El operador telefónico no respondió: {why}."],
  ["The carrier's answer is malformed: {why}.", "La respuesta del operador telefónico no se entiende: {why}."],
  ["the carrier's rate limit is reached", "se alcanzó el límite de solicitudes del operador telefónico"],
];

export default sentences;
