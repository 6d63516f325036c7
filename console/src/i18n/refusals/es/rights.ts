import type { Refusals } from "../table";

/** Who asks, and what they may. */
const sentences: Refusals["sentences"] = [
  ["The session is over or unknown; sign in again at /auth/login.", "La sesión ha terminado o no se conoce; vuelva a iniciarla."],
  ["The cookie holds no session of this service; sign in again at /auth/login.", "La cookie no contiene ninguna sesión de este servicio; vuelva a iniciarla."],
  ["No credential was sent. Send an API key in the header `Authorization: Bearer hum_live_...`, or sign in at /auth/login.", "No hay ninguna sesión iniciada; inicie una."],
  ["This needs a signed-in person; API keys can't do it.", "Esto solo lo puede hacer una persona con la sesión iniciada, no una clave de API."],
  ["This needs a site admin of the deployment.", "Esto necesita a un administrador de la instalación."],
  ["This needs the role {role}; yours is {own}.", "Esto necesita el rol de {role}; el suyo es {own}."],
  ["This shows or changes the whole organization, and you see some of its numbers or agents only.", "Esto muestra o cambia toda la organización, y usted solo ve algunos de sus números o agentes."],
  ["What you may see has changed; open the stream again.", "Ha cambiado lo que usted puede ver; cargue la página de nuevo."],
  ["The session works in another organization than the request names; ask `GET /api/me` in which.", "La sesión está ahora en otra organización; cargue la página de nuevo."],
  ["You belong to no organization.", "Usted no pertenece a ninguna organización."],
  ["You are not a member of this organization.", "Usted no es miembro de esta organización."],
  ["This deployment accepts no new organizations; ask its operator to create one.", "Esta instalación no admite organizaciones nuevas; pida a su operador que cree una."],
  ["You have created or requested {n} organizations; the limit is {limit}.", "Ha creado o solicitado {n} organizaciones; el límite es {limit}."],
  ["A key can't have a role above yours ({role}).", "Una clave no puede tener un rol superior al suyo ({role})."],
  ["Only a site admin can create keys with the scope site:admin.", "Solo un administrador de la instalación puede crear claves con el alcance site:admin."],
  ["An organization has at most {n} valid API keys: revoke those that nobody needs.", "Una organización tiene como máximo {n} claves de API válidas: revoque las que nadie necesite."],
  ["must be at most {time}, when the key that makes this one expires", "debe ser como máximo {time}, cuando caduca la clave que crea esta"],
  ["This API key was revoked.", "Esta clave de API se revocó."],
  ["Only a person, or a key that the revoked one has not made, can keep the keys that it made.", "Solo una persona, o una clave que no haya creado la revocada, puede conservar las claves que esta creó."],
  ["You signed in too long ago to remove an account. Sign in again, then remove it.", "Inició la sesión hace demasiado para quitar una cuenta. Vuelva a iniciarla y quítela después."],
  ["It is the only account with which you sign in. Link another one first.", "Es la única cuenta con la que inicia sesión. Vincule otra primero."],
  ["Only an admin can change members, and you no longer are one.", "Solo un administrador puede cambiar a los miembros, y usted ya no lo es."],
  ["Only an admin can invite people, and you no longer are one.", "Solo un administrador puede invitar a personas, y usted ya no lo es."],
  ["The organization needs an admin; make somebody else an admin first.", "La organización necesita un administrador; nombre primero a otra persona."],
  ["A member already has this address.", "Un miembro ya tiene esta dirección."],
  ["This person is already a member.", "Esta persona ya es miembro."],
  ["An organization has at most {n} open invitations: delete those that are not needed.", "Una organización tiene como máximo {n} invitaciones abiertas: elimine las que no hagan falta."],
  ["An admin sees everything: let the member see all numbers and agents first (limited_to).", "Un administrador lo ve todo: permita primero que el miembro vea todos los números y agentes."],
  ["An admin sees everything: give the member another role first.", "Un administrador lo ve todo: dé primero otro rol al miembro."],
  ["The API keys of a member who sees some numbers or agents only can't be kept: they would see everything.", "No se pueden conservar las claves de API de un miembro que solo ve algunos números o agentes: lo verían todo."],
  ["the organization has no {noun} {id}", "la organización no tiene {noun} {id}"],
  ["Only an admin gets e-mails of {name}.", "Solo un administrador recibe los correos de {name}."],
];

export default sentences;
