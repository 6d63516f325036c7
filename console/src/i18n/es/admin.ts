import type { Sections } from "../sections";

const texts: Sections["admin"] = {
  title: "Organizaciones solicitadas",
  lead: "Aquí espera un sí quien quiere usar esta instalación.",
  name: "Organización",
  person: "Solicitada por",
  when: "Cuándo",
  approve: "Aprobar",
  deny: "Rechazar",
  approveOf: (name) => `Aprobar ${name}`,
  denyOf: (name) => `Rechazar ${name}`,
  approved: (name) => `${name} está creada; su primer administrador es quien la solicitó.`,
  denied: (name) => `Se ha rechazado ${name}.`,
  denyTitle: (name) => `¿Rechazar ${name}?`,
  denyLead: "La persona puede solicitar otra. No se le dice el motivo: dígaselo usted.",
  emptyTitle: "Nadie espera",
  emptyLead: "Donde las organizaciones necesitan aprobación (HUM_ONBOARDING), las solicitudes aparecen aquí.",
  provision: "Crear una para alguien",
  provisionLead: "Para alguien que ya haya iniciado sesión. Será su primer administrador.",
  owner: "Su correo electrónico",
  plan: "Plan",
  planHint: "El id de su propio plan. Vacío: free.",
  create: "Crear",
  created: (name) => `${name} está creada.`,
};

export default texts;
