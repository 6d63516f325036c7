import type { Sections } from "../sections";

const texts: Sections["banners"] = {
  offline: "Este dispositivo no tiene red. Lo que ve puede estar desactualizado, y nada se guarda hasta que vuelva.",
  linkLost: "Se perdió la conexión. Lo que ve puede estar desactualizado; se está reintentando.",
  limited: "Usted ve algunos números y agentes, y lo que les pertenece. Un administrador puede mostrarle más, en Equipo.",
  name: "Práctica",
  both: "Ningún teléfono llega a estos números, y lo que dicen los agentes viene de un modelo de práctica que sigue reglas.",
  model: "Lo que dicen los agentes viene de un modelo de práctica que sigue reglas.",
  carrier: "Ningún teléfono llega a estos números: el operador es simulado.",
  goLive: "Cómo empezar de verdad",
  hide: "Ocultar hasta cerrar el navegador",
  tryLead: "Responde un modelo de práctica. Entiende poco, y hace esto:",
  tryWays: [
    "responde a las preguntas con las frases de las propias instrucciones o con los documentos del agente",
    "pregunta lo que las instrucciones dicen que pregunte",
    "usa una herramienta cuando usted dice, en inglés, lo que dice su nombre: «I'd like to book an appointment» para book_appointment; antes pregunta lo que la herramienta necesita",
    "transfiere cuando usted pide hablar con una persona, si el agente puede",
  ],
  tryReal: "Para un modelo real, configure OPENAI_API_KEY y vuelva a iniciar.",
  callLead: (number) => `Ningún teléfono llega aquí a ${number}. Hable con el agente en el navegador o escriba esto en una terminal:`,
};

export default texts;
