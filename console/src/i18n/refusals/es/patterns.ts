import type { Refusals } from "../table";

/** What a pattern means, in words. */
const sentences: Refusals["sentences"] = [
  ["must be one line that neither begins nor ends with a space", "debe ser una sola línea que no empiece ni termine con un espacio"],
  ["must be two capital letters, for example US", "debe tener dos letras mayúsculas, por ejemplo US"],
  ["must be a language tag, for example en or en-US", "debe ser una etiqueta de idioma, por ejemplo en o en-US"],
  ["must be more than white space", "debe tener algo más que espacios"],
  ["must be more than spaces", "debe tener algo más que espacios"],
  ["must be a letter, and then up to 63 letters, digits, _ and -", "debe ser una letra y después hasta 63 letras, cifras, _ y -"],
  ["must be up to 60 characters without commas and semicolons, and neither begin nor end with a space", "debe tener hasta 60 caracteres sin comas ni punto y coma, y no empezar ni terminar con un espacio"],
  ["must be three digits, for example 317", "debe tener tres cifras, por ejemplo 317"],
  ["must be the name of a tool", "debe ser el nombre de una herramienta"],
  ["must be one line of up to 60 characters without slashes that does not begin with a space", "debe ser una sola línea de hasta 60 caracteres, sin barras, que no empiece con un espacio"],
  ["must be lower-case words joined by dots, for example external.order_shipped, or external.*", "deben ser palabras en minúsculas unidas por puntos, por ejemplo external.order_shipped, o external.*"],
  ["must be letters, digits, spaces, _ and - that begin and end with a letter or digit", "debe tener letras, cifras, espacios, _ y -, y empezar y terminar con una letra o una cifra"],
  ["must be an area and what it allows, for example calls:read or contacts:write, or *; the areas are {areas}", "debe ser un área y lo que permite, por ejemplo calls:read o contacts:write, o *; las áreas son {areas}"],
  ["must be a type of events such as sms.received, a kind such as sms.*, or *", "debe ser un tipo de eventos como sms.received, un grupo como sms.* o *"],
  ["must be a small letter, and then up to 63 small letters, digits and _", "debe ser una letra minúscula y después hasta 63 letras minúsculas, cifras y _"],
  ["must be a sentence, and not only spaces", "debe ser una frase, no solo espacios"],
  ["must be a field, a part of the name, attribute:TITLE, date:TITLE or ignore", "debe ser un campo, una parte del nombre, attribute:TÍTULO, date:TÍTULO o ignore"],
  ["must be `external.` and a name of lower-case letters, digits, dots and underscores, like `external.order_paid`", "debe ser `external.` y un nombre de minúsculas, cifras, puntos y guiones bajos, como `external.order_paid`"],
  ["must be 64 hexadecimal digits", "debe tener 64 cifras hexadecimales"],
  ["must be 4 to 4000 printable ASCII characters without a space at either end", "debe tener de 4 a 4000 caracteres ASCII imprimibles, sin espacios al principio ni al final"],
  ["must be 2 to 15 digits, with * for any digit", "debe tener de 2 a 15 cifras, con * por cualquier cifra"],
  ["must be seconds, 1 to 9999, for example 8 or 2.5", "debe ser un número de segundos de 1 a 9999, por ejemplo 8 o 2.5"],
  ["must be a header's name", "debe ser el nombre de una cabecera"],
  ["must be without spaces and control characters", "no puede tener espacios ni caracteres de control"],
  ["must be a tool's name, without NUL", "debe ser el nombre de una herramienta, sin NUL"],
  ["must be the id of a flow, flow_ and 26 letters and digits", "debe ser el id de un agente: flow_ y 26 letras y cifras"],
  ["must be letters, digits, _ and - only", "solo puede tener letras, cifras, _ y -"],
  ["must be a phone number in E.164, for example +13175551234", "debe ser un número de teléfono en E.164, por ejemplo +13175551234"],
  ["must be a phone number in E.164, for example +13175551234, or the id of a flow", "debe ser un número de teléfono en E.164, por ejemplo +13175551234, o el id de un agente"],
  ["must be a phrase with letters in it", "debe ser una expresión con letras"],
  ["must be a time from 00:00 to 24:00 with two digits each, for example 09:00", "debe ser una hora de 00:00 a 24:00, con dos cifras cada parte, por ejemplo 09:00"],
];

export default sentences;
