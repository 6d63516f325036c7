import type { Sections } from "../sections";

const AREAS: Record<string, string> = {
  calls: "llamadas",
  flows: "agentes",
  numbers: "números",
  contacts: "contactos",
  sms: "mensajes",
  campaigns: "campañas",
  bookings: "citas",
  approvals: "aprobaciones",
  knowledge: "conocimiento",
  webhooks: "webhooks",
  integrations: "herramientas e integraciones",
  team: "equipo y ajustes",
  billing: "facturación",
  usage: "consumo",
  analytics: "cifras",
  search: "resultados de búsqueda",
  stream: "cambios al instante",
};

function may(scope: string): string {
  if (scope === "site:admin") return "administrar la instalación";
  const [area = "", access] = scope.split(":");
  return `${access === "read" ? "ver" : area === "sms" ? "enviar y cambiar" : "cambiar"} ${AREAS[area] ?? scope}`;
}

const texts: Sections["apiKeys"] = {
  title: "Claves de API",
  lead: "Para su propio software y para agentes de otros. Una clave tiene como máximo el rol de quien la creó.",
  name: "Nombre",
  nameHint: "Para qué es: «Sitio web», «Informes».",
  nameFirst: "Póngale un nombre.",
  role: "Rol",
  scopes: "Puede",
  everything: "Todo lo que su rol permite",
  everythingHint: "Desactivado: solo las áreas que elija.",
  none: "–",
  read: "Leer",
  write: "Leer y cambiar",
  /** What scopes are about; each scope of the API has its words. */
  areas: AREAS,
  may,
  noAccess: "Sin acceso",
  areaFirst: "Elija al menos un área.",
  siteAdmin: "Administrar la instalación (site:admin)",
  expires: "Funciona hasta",
  expiresHint: "El final de ese día. Vacío: hasta que se revoque.",
  never: "sin fin",
  used: "Último uso",
  unused: "nunca",
  created: "Creada",
  state: "Estado",
  active: "Activa",
  revoked: "Revocada",
  expired: "Caducada",
  create: "Crear una clave",
  createIt: "Crear",
  secretTitle: "Su clave nueva",
  secretLead: "Cópiela ahora. Se muestra esta única vez y no puede volver a mostrarse.",
  secretDone: "Ya la tengo",
  curl: "Pruébela",
  revoke: "Revocar",
  revokeOf: (name) => `Revocar ${name}`,
  revokeTitle: (name) => `¿Revocar ${name}?`,
  revokeLead: "Lo que la usa se rechaza desde ese momento. Una clave revocada no puede volver a usarse. Las claves que creó y sus invitaciones pendientes terminan con ella.",
  revokedNow: (name) => `${name} está revocada.`,
  emptyTitle: "Aún no hay claves",
  emptyLead: "Con una clave, su software lee llamadas, envía mensajes o cambia agentes por la API REST.",
  docs: "Referencia de la API",
};

export default texts;
