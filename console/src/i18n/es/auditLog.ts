import type { Sections } from "../sections";

const texts: Sections["auditLog"] = {
  title: "Registro de auditoría",
  lead: "Cada cambio en la organización: quién lo hizo y qué campos nombraba. Las entradas nunca se cambian ni se eliminan.",
  when: "Cuándo",
  who: "Quién",
  action: "Qué",
  subject: "De",
  fields: "Campos",
  seal: "Entrada",
  unsealed: "sellándose",
  request: "Solicitud",
  filterAction: "Operación",
  filterActionHint: "Como la llama la API, por ejemplo updateFlow.",
  filterActor: "Autor",
  onlyActor: (name) => `Solo ${name}`,
  onlyAction: (name) => `Solo ${name}`,
  allActors: "Todos",
  clear: "Mostrar todo",
  export: "Exportar",
  verifyTitle: "Qué demuestra el sello",
  verify: "Cada entrada lleva un SHA-256 sobre sí misma y sobre la anterior. Quien cambiara, quitara o insertara una entrada pasada tendría que cambiar todas las siguientes. Exporte el registro, guarde copias en otro sitio y compruebe cualquiera de ellas sin este servidor:",
  verifyMore: "Dele con --contains el último hash de una copia más antigua: si esa entrada sigue en la cadena, nada anterior se ha tocado, cortado ni rehecho.",
  hash: "SHA-256",
  kinds: { user: "Persona", key: "Clave de API", operator: "Operador" },
  emptyTitle: "No hay nada",
  emptyLead: "Ningún cambio coincide con este filtro.",
};

export default texts;
