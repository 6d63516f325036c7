import type { Sections } from "../sections";

const texts: Sections["welcome"] = {
  signInTitle: "Iniciar sesión en HUM",
  signInLead: "Llamadas, mensajes y los agentes que los atienden.",
  signIn: "Iniciar sesión",
  title: "Le damos la bienvenida a HUM",
  another: "Otra organización",
  lead: "Las llamadas y los mensajes pertenecen a una organización: su clínica, tienda u oficina.",
  invitations: "Tiene una invitación",
  invited: (name) => `Unirse a ${name}`,
  as: (role, by) => `Como ${role}${by ? `, por invitación de ${by}` : ""}`,
  accept: "Unirse",
  pendingTitle: "A la espera de aprobación",
  pending: (name) => `${name} espera la aprobación del operador. Esta página continuará sola.`,
  create: "Una organización nueva",
  createLead: "Usted será su primer administrador y podrá invitar a otros después.",
  name: "Nombre",
  nameHint: "Tal como la conocen quienes llaman.",
  nameFirst: "Escriba primero un nombre.",
  createIt: "Crearla",
  notYou: "¿No es usted?",
  signedInAs: (email) => `Ha iniciado sesión como ${email}.`,
};

export default texts;
