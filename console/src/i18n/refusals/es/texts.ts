import type { Refusals } from "../table";

/** Texts. */
const sentences: Refusals["sentences"] = [
  ["The conversation is closed; reopen it first.", "La conversación está cerrada; ábrala de nuevo primero."],
  ["A closed conversation can't be put off; open it.", "Una conversación cerrada no se puede posponer; ábrala."],
  ["The number's texts are off.", "Los mensajes del número están desactivados."],
  ["The conversation's number can't send texts: it was given up, or its texts are off.", "El número de la conversación no puede enviar mensajes: ya no es suyo o tiene los mensajes desactivados."],
  ["The contact is a name or a short code, which can't be texted.", "El contacto es un nombre o un código corto, al que no se pueden enviar mensajes."],
  ["The hours in which it may be sent never come.", "Nunca llega un horario en el que se pueda enviar."],
  ["The message would expire before it may be sent.", "El mensaje caducaría antes de poder enviarse."],
  ["The message is {sent}; only a scheduled one can be canceled.", "El mensaje está {sent}; solo se puede cancelar uno programado."],
  ["The message is not unknown: it is {sent}.", "El estado del mensaje se conoce: está {sent}."],
  ["No attempt was made at sending this message.", "No se ha intentado enviar este mensaje."],
  ["is not an active number that can text", "no es un número activo que pueda enviar mensajes"],
  ["is not a member of the team", "no es miembro del equipo"],
  ["is a viewer, who can't answer texts", "es un lector, que no puede contestar mensajes"],
  ["must hold something, if there is no media", "no puede estar vacío si no hay archivos"],
  ["must not be empty without media", "no puede estar vacío si no hay archivos"],
  ["can't be sent to this number: the carrier takes media to the US, CA and AU only", "no se pueden enviar a este número: el operador telefónico solo admite archivos a EE. UU., Canadá y Australia"],
  ["are too many with media_urls: the carrier takes {n} files", "son demasiados con media_urls: el operador telefónico admite {n} archivos"],
  ["are larger than {n} MB together with the text, which is the most that the carrier takes", "ocupan con el texto más de {n} MB, que es lo máximo que admite el operador telefónico"],
  ["is larger than {n} MB, which is the most that the carrier takes", "ocupa más de {n} MB, que es lo máximo que admite el operador telefónico"],
  ["is of a kind that the carrier does not take: send a picture (JPEG, PNG or GIF), a PDF, a contact (vCard), a sound (MP3, AMR or M4A) or a video (MP4, MOV or 3GP)", "es de un tipo que el operador telefónico no admite: envíe una imagen (JPEG, PNG o GIF), un PDF, un contacto (vCard), un sonido (MP3, AMR o M4A) o un vídeo (MP4, MOV o 3GP)"],
  ["does not exist, or was sent or deleted; upload the file again", "no existe, o ya se envió o se eliminó; suba el archivo de nuevo"],
  ["The file was deleted while it was stored.", "El archivo se eliminó mientras se guardaba."],
  ["{n} of your files wait for their texts: send or remove some; after a day they are deleted.", "{n} de sus archivos esperan su mensaje: envíe o quite algunos; al cabo de un día se eliminan."],
  ["The organization's files that wait for their texts are as many as may be; send some first.", "La organización tiene tantos archivos a la espera de su mensaje como se permiten; envíe algunos primero."],
  ["is not allowed: {reason}", "no se permite: {reason}"],
  ["is not allowed: its port must be that of https", "no se permite: su puerto debe ser el de https"],
  ["is not allowed: it leads to an address that is not public", "no se permite: lleva a una dirección que no es pública"],
  ["must begin with https://", "debe empezar por https://"],
  ["The organization has {n} templates, which is the limit.", "La organización tiene {n} plantillas, que es el límite."],
  ["names {name}, which is unknown; known are {names}", "nombra {name}, que no se conoce; se conocen {names}"],
  ["has {{ or }} without the other; a variable is {{contact.name}}", "tiene {{ o }} sin su pareja; una variable es {{contact.name}}"],
  ["has {{{name}}}, which is no variable; one is {{contact.name}}", "tiene {{{name}}}, que no es una variable; una es {{contact.name}}"],
];

export default sentences;
