import type { Refusals } from "../table";

/** Agents. */
const sentences: Refusals["sentences"] = [
  ["The flow has version {version} by now, not {old}: it was changed meanwhile.", "El agente tiene ya la versión {version}, no la {old}: se cambió entretanto."],
  ["The number {number} uses this flow; assign it another flow first.", "El número {number} usa este agente; asígnele otro primero."],
  ["The number {number} uses this flow; assign it another flow before you change the channel.", "El número {number} usa este agente; asígnele otro antes de cambiar el canal."],
  ["The flow {name} transfers to this flow; change its transfer map or route tags first.", "El agente {name} transfiere a este; cambie primero sus transferencias o rutas."],
  ["flows have no field {name}", "los agentes no tienen el campo {name}"],
  ["is not a flow of this organization", "no es un agente de esta organización"],
  ["is not knowledge of this organization", "no es un documento de esta organización"],
  ["is neither a type of event nor external.<name>", "no es un tipo de evento ni external.<nombre>"],
  ["needs a default for who is not known, which may be empty: {{{name}|there}}", "necesita un valor para quien no se conoce, que puede estar vacío: {{{name}|cliente}}"],
  ["events start {n} flows already, and no more", "los eventos ya inician {n} agentes, que es el máximo"],
  ["The model proposed nothing valid. Try again, or describe the business in other words. What was wrong: {why}", "El modelo no propuso nada válido. Inténtelo de nuevo o describa el negocio con otras palabras. Lo que falló: {why}"],
  ["The model did not answer in time, or not usably. Try again.", "El modelo no respondió a tiempo o de forma útil. Inténtelo de nuevo."],
  ["The speech endpoint did not answer in time, or not usably. Try again.", "El servicio de voz no respondió a tiempo o de forma útil. Inténtelo de nuevo."],
  ["can't be read: {reason}", "no se puede leer: {reason}"],
  ["can't be read: there is no text on the page", "no se puede leer: la página no tiene texto"],
  ["The server answered {status}.", "El servidor respondió {status}."],
  ["The server answered {status}; redirects are not followed, name the final url.", "El servidor respondió {status}; no se siguen las redirecciones, indique la dirección final."],
  ["{n} trials, proposals and previews of your organization are under way, which is the limit.", "Su organización tiene {n} pruebas, propuestas y muestras en curso, que es el límite."],
  ["Your organization has had {n} {trial} today (UTC), which is the limit.", "Su organización ya ha tenido hoy (UTC) {n} {trial}, que es el límite."],
  ["is not between 2000 and 2100", "no está entre 2000 y 2100"],
  ["is required where there is no conversation", "es obligatorio cuando no hay conversación"],
  ["are missing: in texts the contact writes first", "faltan: en los mensajes escribe primero el contacto"],
  ["are an agent's", "son de un agente"],
  ["have {n} characters together; {most} are the limit", "tienen {n} caracteres en total; el límite es {most}"],
  ["{model} can always be interrupted: it decides that by itself", "{model} siempre se puede interrumpir: lo decide por sí mismo"],
  ["{model} has no voice for it; must be one of {choices}", "{model} no tiene una voz para él; debe ser uno de estos: {choices}"],
  ["must be caller: the agent answers the last turn", "debe ser quien llama: el agente contesta al último turno"],
];

export default sentences;
