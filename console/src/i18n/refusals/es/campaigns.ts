import type { Refusals } from "../table";

/** Campaigns. */
const sentences: Refusals["sentences"] = [
  ["The campaign was launched; only a draft can be changed.", "La campaña ya se lanzó; solo se puede cambiar un borrador."],
  ["The campaign is {status}; only a draft or a paused campaign can be launched.", "La campaña está {status}; solo se puede lanzar un borrador o una campaña en pausa."],
  ["The campaign is {status}; only a queued or running campaign can be paused.", "La campaña está {status}; solo se puede poner en pausa una campaña en cola o en curso."],
  ["The campaign is {status} already.", "La campaña ya está {status}."],
  ["The campaign has neither a text nor media.", "La campaña no tiene texto ni archivos."],
  ["The campaign has nobody to text.", "La campaña no tiene a quién escribir."],
  ["The campaign's number can't send texts: it was given up, or its texts are off.", "El número de la campaña no puede enviar mensajes: ya no es suyo o tiene los mensajes desactivados."],
  ["The campaign expires before it begins.", "La campaña caduca antes de empezar."],
  ["either these or `tag` must be given", "indique estos o la etiqueta"],
  ["A campaign has at most {n} recipients; this one has {count}.", "Una campaña tiene como máximo {n} destinatarios; esta tiene {count}."],
];

export default sentences;
