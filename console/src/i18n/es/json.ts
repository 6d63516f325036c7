import { plural } from "../language";
import type { Sections } from "../sections";

const texts: Sections["json"] = {
  value: "valor",
  fold: (what) => `Plegar ${what}`,
  unfold: (what) => `Desplegar ${what}`,
  members: (count) => plural(count, { one: "elemento", other: "elementos" }),
  showAll: (size) => `Mostrar todo (${size})`,
  tooLong: "Es demasiado largo para mostrarlo entero. Cópielo para ver el resto.",
  copy: "Copiar todo",
  copied: "Copiado",
};

export default texts;
