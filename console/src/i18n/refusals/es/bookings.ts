import type { Refusals } from "../table";

/** The book: what can be booked, holds and appointments. */
const sentences: Refusals["sentences"] = [
  ["This time is taken; look for another one.", "Esta hora está ocupada; busque otra."],
  ["This is no time at which the service begins; look for the times that are free.", "El servicio no empieza a esta hora; busque las horas libres."],
  ["The time is not held any more; hold it again.", "La hora ya no está retenida; reténgala de nuevo."],
  ["Another time is being held for the same call or conversation; try again.", "Se está reteniendo otra hora para la misma llamada o conversación; inténtelo de nuevo."],
  ["It is booked; cancel the appointment instead.", "Está reservada; cancele la cita."],
  ["The appointment was changed meanwhile; look at it again.", "La cita cambió entretanto; vuelva a verla."],
  ["Only a pending or booked appointment can be moved.", "Solo se puede mover una cita pendiente o reservada."],
  ["Only a pending or booked appointment can be canceled.", "Solo se puede cancelar una cita pendiente o reservada."],
  ["The appointment's state does not allow this.", "El estado de la cita no lo permite."],
  ["The appointment has not begun.", "La cita no ha empezado."],
  ["The conflict is resolved already.", "El conflicto ya está resuelto."],
  ["The service can't be booked any more.", "El servicio ya no se puede reservar."],
  ["can't be booked any more", "ya no se puede reservar"],
  ["The service takes none of these resources.", "El servicio no usa ninguno de estos recursos."],
  ["An organization has up to {n} resources.", "Una organización tiene hasta {n} recursos."],
  ["An organization has up to {n} services.", "Una organización tiene hasta {n} servicios."],
  ["An organization has up to {n} times off that are not over.", "Una organización tiene hasta {n} cierres que no han terminado."],
  ["Up to {n} people wait in an organization.", "En una organización esperan hasta {n} personas."],
  ["Appointments to come need a capacity of {n}.", "Las citas por venir necesitan una capacidad de {n}."],
  ["The resource has {n} appointments; make it inactive instead.", "El recurso tiene {n} citas; desactívelo."],
  ["The service has {n} appointments; make it inactive instead.", "El servicio tiene {n} citas; desactívelo."],
  ["It was booked meanwhile; make it inactive instead.", "Se reservó entretanto; desactívelo."],
  ["must be at most {n} days after the start", "debe ser como máximo {n} días después del inicio"],
  ["must have a group of resources", "debe tener un grupo de recursos"],
  ["must have each resource once", "debe tener cada recurso una vez"],
  ["There is no such appointment.", "No existe esa cita."],
  ["There is no such conflict.", "No existe ese conflicto."],
  ["There is no such resource.", "No existe ese recurso."],
  ["There is no such service.", "No existe ese servicio."],
  ["There is no such time off.", "No existe ese cierre."],
  ["There is no such wait.", "No existe esa espera."],
  ["One of the resources does not exist.", "Uno de los recursos no existe."],
];

export default sentences;
