import { plural } from "../language";
import type { Sections } from "../sections";

const texts: Sections["events"] = {
  title: "Eventos",
  lead: "Lo que pasó, como lo reciben webhooks y agentes. La misma lista está en GET /api/events.",
  event: "Evento",
  filters: "Filtros",
  type: "Tipo",
  anyType: "Todos los tipos",
  order: "Orden",
  newestFirst: "Primero los últimos",
  oldestFirst: "Primero los más antiguos",
  newOnes: (count) => plural(count, { one: "nuevo", other: "nuevos" }),
  data: "Datos",
  when: "Cuándo",
  version: "Versión",
  notInList: "Este está más abajo en la lista, o se eliminó.",
  noneOfType: "Ninguno de este tipo",
  emptyTitle: "Aún no ha pasado nada",
  emptyLead: "Aquí aparecen llamadas, mensajes, mensajes de voz y lo que resulta de ellos, según ocurren. Un webhook los lleva a su servidor.",
  toWebhooks: "Webhooks",
  places: { call: "La llamada", conversation: "La conversación", agent: "El agente", number: "El número", webhook: "El webhook", trigger: "El disparador", approval: "La aprobación" },
};

export default texts;
