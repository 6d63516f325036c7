import type { Sections } from "../sections";

const texts: Sections["search"] = {
  placeholder: "Buscar una persona, una llamada, una página…",
  searching: "Buscando…",
  failed: "La búsqueda falló.",
  found: (count) => (count === 1 ? "1 resultado" : `${count} resultados`),
  kinds: { contact: "Contactos", call: "Llamadas", conversation: "Conversaciones", flow: "Agentes", campaign: "Campañas" },
  states: { voice: "Llamadas", sms: "Mensajes", draft: "Borrador", queued: "En cola", running: "En curso", paused: "Pausada", completed: "Terminada", canceled: "Cancelada", failed: "Fallida" },
};

export default texts;
