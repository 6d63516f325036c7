/** Phone numbers as people write them, which the platform reads: by the same rule as those of a file that is imported. */
import { textsOf } from "@/i18n";
import { ApiError, api, data } from "./client";

/** Return a number in E.164. One that is none is refused at this field, as the API refuses one, but in the reader's language. */
export async function inE164(text: string, field: string): Promise<string> {
  try {
    return await converted(text);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 400) throw error;
    const t = (await textsOf("forms")).phone;
    const reason = said(error);
    const sentence = reason.includes("extension") ? t.extension : reason.includes("country code") ? t.noCountry : t.none(text);
    throw new ApiError(400, error.code, sentence, [{ field, reason: sentence }], error.requestId);
  }
}

/** What the API said, in its own words: they tell what is wrong with a number. */
function said(error: ApiError): string {
  return error.details[0]?.said ?? error.details[0]?.reason ?? "";
}

/** By the country of the organization's numbers; of this browser's language while there are none. */
async function converted(text: string): Promise<string> {
  const ask = async (region?: string): Promise<string> => (await data(api.GET("/api/numbers/e164", { params: { query: { text, ...(region ? { default_region: region } : {}) } } }))).e164;
  return ask().catch((error: unknown) => {
    const region = ownRegion();
    const isWithoutCountry = error instanceof ApiError && said(error).includes("country code");
    if (isWithoutCountry && region) return ask(region);
    throw error;
  });
}

/** For fields that are saved later: the number in E.164, or the text as it is if it is none. */
export async function completed(text: string): Promise<string> {
  const isWorthAsking = !/^\+\d{8,15}$/.test(text) && text.replace(/\D/g, "").length >= 7;
  return isWorthAsking ? inE164(text, "").catch(() => text) : text;
}

function ownRegion(): string | undefined {
  const region = new Intl.Locale(navigator.language).maximize().region;
  return region && /^[A-Z]{2}$/.test(region) ? region : undefined;
}
