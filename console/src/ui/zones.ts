/** Time zones by the words that people have for where they are: cities, states, countries. */

/** Names that browsers still have, and what the IANA database and the API call these zones today. */
const RENAMED: Readonly<Record<string, string>> = {
  "Africa/Asmera": "Africa/Asmara",
  "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
  "America/Catamarca": "America/Argentina/Catamarca",
  "America/Coral_Harbour": "America/Atikokan",
  "America/Cordoba": "America/Argentina/Cordoba",
  "America/Godthab": "America/Nuuk",
  "America/Indianapolis": "America/Indiana/Indianapolis",
  "America/Jujuy": "America/Argentina/Jujuy",
  "America/Louisville": "America/Kentucky/Louisville",
  "America/Mendoza": "America/Argentina/Mendoza",
  "Asia/Calcutta": "Asia/Kolkata",
  "Asia/Katmandu": "Asia/Kathmandu",
  "Asia/Rangoon": "Asia/Yangon",
  "Asia/Saigon": "Asia/Ho_Chi_Minh",
  "Atlantic/Faeroe": "Atlantic/Faroe",
  "Europe/Kiev": "Europe/Kyiv",
  "Pacific/Enderbury": "Pacific/Kanton",
  "Pacific/Ponape": "Pacific/Pohnpei",
  "Pacific/Truk": "Pacific/Chuuk",
};

/** What else lies in a zone: large cities, states and countries that its name has not, in English and in Spanish. */
const PLACES: Readonly<Record<string, string>> = {
  "Africa/Cairo": "Egypt, Egipto, Alexandria",
  "Africa/Casablanca": "Morocco, Marruecos, Rabat",
  "Africa/Johannesburg": "South Africa, Sudáfrica, Cape Town, Durban, Pretoria",
  "Africa/Lagos": "Nigeria, Abuja",
  "Africa/Nairobi": "Kenya, Kenia",
  "America/Anchorage": "Alaska, Fairbanks",
  "America/Argentina/Buenos_Aires": "Argentina, La Plata, Rosario",
  "America/Asuncion": "Paraguay",
  "America/Bogota": "Colombia, Medellín, Cali, Barranquilla",
  "America/Boise": "Idaho",
  "America/Caracas": "Venezuela, Maracaibo",
  "America/Chicago":
    "Central, Alabama, Birmingham, Montgomery, Arkansas, Little Rock, Illinois, Springfield, Iowa, Des Moines, Kansas, Wichita, Louisiana, New Orleans, Baton Rouge, Minnesota, Minneapolis, Saint Paul, St. Paul, Mississippi, Jackson, Missouri, Kansas City, Saint Louis, St. Louis, Nebraska, Omaha, Lincoln, North Dakota, Fargo, Oklahoma City, Tulsa, South Dakota, Sioux Falls, Tennessee, Memphis, Nashville, Texas, Austin, Dallas, Fort Worth, Houston, San Antonio, Wisconsin, Madison, Milwaukee",
  "America/Costa_Rica": "San José",
  "America/Denver": "Mountain, Colorado, Colorado Springs, Montana, Billings, New Mexico, Albuquerque, Santa Fe, El Paso, Utah, Salt Lake City, Wyoming, Cheyenne",
  "America/Detroit": "Michigan, Ann Arbor, Grand Rapids, Lansing",
  "America/Edmonton": "Alberta, Calgary, Canada, Canadá",
  "America/El_Salvador": "San Salvador",
  "America/Guayaquil": "Ecuador, Quito, Cuenca",
  "America/Halifax": "Nova Scotia, New Brunswick, Canada, Canadá",
  "America/Havana": "Cuba",
  "America/Indiana/Indianapolis": "Fort Wayne, South Bend, Bloomington, Carmel",
  "America/Kentucky/Louisville": "Lexington",
  "America/La_Paz": "Bolivia, Santa Cruz",
  "America/Lima": "Peru, Perú, Arequipa",
  "America/Los_Angeles": "Pacific, California, Oakland, Sacramento, San Diego, San Francisco, San Jose, Fresno, Nevada, Las Vegas, Reno, Oregon, Portland, Washington, Seattle, Spokane, Tacoma",
  "America/Mexico_City": "México, Guadalajara, Puebla, León, Querétaro",
  "America/Montevideo": "Uruguay",
  "America/New_York":
    "Eastern, Connecticut, Hartford, Delaware, Florida, Jacksonville, Miami, Orlando, Tampa, Georgia, Atlanta, Savannah, Maine, Maryland, Baltimore, Massachusetts, Boston, New Hampshire, New Jersey, Newark, Buffalo, Rochester, North Carolina, Charlotte, Raleigh, Ohio, Cincinnati, Cleveland, Columbus, Pennsylvania, Philadelphia, Pittsburgh, Rhode Island, Providence, South Carolina, Charleston, Vermont, Virginia, Richmond, Norfolk, Washington DC, West Virginia",
  "America/Panama": "Panamá",
  "America/Phoenix": "Arizona, Tucson, Mesa, Scottsdale",
  "America/Puerto_Rico": "San Juan",
  "America/Santiago": "Chile, Valparaíso",
  "America/Santo_Domingo": "Dominican Republic, República Dominicana",
  "America/Sao_Paulo": "Brazil, Brasil, Rio de Janeiro, Brasília, São Paulo",
  "America/Toronto": "Ontario, Ottawa, Quebec, Montreal, Canada, Canadá",
  "America/Vancouver": "British Columbia, Victoria, Canada, Canadá",
  "America/Winnipeg": "Manitoba, Canada, Canadá",
  "Asia/Dubai": "United Arab Emirates, Emiratos, Abu Dhabi",
  "Asia/Ho_Chi_Minh": "Vietnam, Hanoi",
  "Asia/Jakarta": "Indonesia",
  "Asia/Jerusalem": "Israel, Tel Aviv, Haifa",
  "Asia/Karachi": "Pakistan, Pakistán, Lahore, Islamabad",
  "Asia/Kolkata": "India, Mumbai, Delhi, Bangalore, Bengaluru, Chennai, Hyderabad, Pune",
  "Asia/Manila": "Philippines, Filipinas, Cebu",
  "Asia/Riyadh": "Saudi Arabia, Arabia Saudí, Jeddah",
  "Asia/Seoul": "Korea, Corea, Busan",
  "Asia/Shanghai": "China, Beijing, Pekín, Shenzhen, Guangzhou",
  "Asia/Tokyo": "Japan, Japón, Osaka, Kyoto",
  "Australia/Sydney": "New South Wales, Canberra",
  "Europe/Amsterdam": "Netherlands, Países Bajos, Rotterdam, Utrecht",
  "Europe/Athens": "Greece, Grecia",
  "Europe/Berlin": "Germany, Alemania, Munich, Hamburg, Frankfurt, Cologne, Köln, München, Stuttgart",
  "Europe/Brussels": "Belgium, Bélgica, Antwerp",
  "Europe/Bucharest": "Romania, Rumania",
  "Europe/Copenhagen": "Denmark, Dinamarca",
  "Europe/Dublin": "Ireland, Irlanda, Cork",
  "Europe/Helsinki": "Finland, Finlandia",
  "Europe/Istanbul": "Turkey, Turquía, Ankara",
  "Europe/Kyiv": "Ukraine, Ucrania",
  "Europe/Lisbon": "Portugal, Porto",
  "Europe/London": "United Kingdom, Reino Unido, England, Scotland, Wales, Birmingham, Manchester, Edinburgh, Glasgow, Leeds",
  "Europe/Madrid": "Spain, España, Barcelona, Valencia, Sevilla, Bilbao",
  "Europe/Oslo": "Norway, Noruega",
  "Europe/Paris": "France, Francia, Lyon, Marseille, Toulouse",
  "Europe/Prague": "Czechia, Chequia",
  "Europe/Rome": "Italy, Italia, Milan, Naples, Turin",
  "Europe/Stockholm": "Sweden, Suecia, Gothenburg",
  "Europe/Vienna": "Austria",
  "Europe/Warsaw": "Poland, Polonia, Krakow",
  "Europe/Zurich": "Switzerland, Suiza, Geneva, Basel, Bern",
  "Pacific/Auckland": "New Zealand, Nueva Zelanda, Wellington, Christchurch",
  "Pacific/Honolulu": "Hawaii",
};

export interface ZoneHit {
  zone: string;
  /** The place by which it was found, where its name has it not. */
  place: string | undefined;
}

/** Every zone by the name of today. */
export function allZones(): string[] {
  return [...new Set(["UTC", ...Intl.supportedValuesOf("timeZone").map(currentName)])].toSorted();
}

/** The browser's own zone, as the API calls it. */
export function ownZone(): string {
  return currentName(Intl.DateTimeFormat().resolvedOptions().timeZone);
}

export function currentName(zone: string): string {
  return RENAMED[zone] ?? zone;
}

/** The zones that have all words of a text, in their own name or among their places; those whose city it is, or begins, first. */
export function zonesFor(text: string, zones: readonly string[]): ZoneHit[] {
  const words = fold(text).split(" ").filter(Boolean);
  const query = words.join(" ");
  if (!query) return zones.map((zone) => ({ zone, place: undefined }));
  const hits: (ZoneHit & { rank: number })[] = [];
  for (const zone of zones) {
    const city = fold(zone.split("/").at(-1) ?? "");
    const places = (PLACES[zone] ?? "").split(", ").filter(Boolean);
    const isNamed = words.every((word) => fold(zone).includes(word));
    const place = isNamed ? undefined : (places.find((each) => fold(each) === query) ?? places.find((each) => fold(each).startsWith(query)) ?? places.find((each) => words.every((word) => fold(each).includes(word))));
    if (!isNamed && place === undefined) continue;
    const name = place === undefined ? city : fold(place);
    hits.push({ zone, place, rank: name === query ? 0 : name.startsWith(query) ? 1 : 2 });
  }
  return hits.toSorted((a, b) => a.rank - b.rank).map(({ zone, place }) => ({ zone, place }));
}

/** The zone that a text names beyond doubt: its own name, or a city or place that only it has. */
export function zoneOfText(text: string, zones: readonly string[]): string | undefined {
  const query = fold(text);
  const named = zones.find((zone) => fold(zone) === query);
  if (named !== undefined || !query) return named;
  const exact = zonesFor(text, zones).filter(({ zone, place }) => fold(place ?? zone.split("/").at(-1) ?? "") === query);
  return exact.length === 1 ? exact[0]?.zone : undefined;
}

function fold(text: string): string {
  return text
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[\s_/,]+/g, " ")
    .trim();
}
