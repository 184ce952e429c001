import type { HeaderMap, RequestHead, ResponseHead } from "@cirque/http";
import { AcceptEncoding } from "./accept-encoding.ts";
import { mediaTypeOf } from "./compressible.ts";
import type { CompressionDictionary } from "./compression-dictionary.ts";
import { includesCoding, type ResolvedSettings, wantsFlush } from "./compression-settings.ts";
import { contentCodings, isDictionaryCoding, isPlainCoding, type PlainCoding } from "./content-coding.ts";
import type { Encoding } from "./zlib-codings.ts";

/** What becomes of a response. */
export type CompressionPlan =
  | { readonly action: "none"; readonly vary: readonly string[] }
  | { readonly action: "compress"; readonly vary: readonly string[]; readonly encoding: Encoding }
  | { readonly action: "decompress"; readonly vary: readonly string[]; readonly coding: PlainCoding };

/** Decides what becomes of a response, from what client and origin say (CMP-04..CMP-06, CMP-08, CMP-09). */
export function planCompression(
  request: RequestHead,
  response: ResponseHead,
  settings: ResolvedSettings,
  dictionaries: readonly CompressionDictionary[],
): CompressionPlan {
  const { headers } = response;
  if (!mayBeChanged(request, response)) return UNTOUCHED;
  const accepted = AcceptEncoding.parse(request.headers.get("accept-encoding"));
  const [coding, ...others] = contentCodings(headers.get("content-encoding"));

  if (coding !== undefined) {
    // Several codings on top of each other are left alone, and so is what is not known.
    if (others.length > 0 || !isPlainCoding(coding) || !includesCoding(settings.decompress, coding)) return UNTOUCHED;
    const vary = [ACCEPT_ENCODING];
    return accepted.accepts(coding) ? { action: "none", vary } : { action: "decompress", vary, coding };
  }

  if (settings.codings.length === 0) return UNTOUCHED;
  const wanted = settings.compressible(mediaTypeOf(headers.get("content-type")));
  const small = Number(headers.find("content-length")?.value ?? Number.POSITIVE_INFINITY) < settings.minBytes;
  // A client that can only read what is coded gets it, be it worth it or not.
  if ((!wanted || small) && !accepted.refusesIdentity) return UNTOUCHED;

  const named = request.headers.get("available-dictionary");
  const dictionary = named === undefined ? undefined : dictionaries.find(({ name }) => name === named);
  const makesDictionaryCodings = dictionaries.length > 0 && settings.codings.some(isDictionaryCoding);
  const vary = makesDictionaryCodings ? [ACCEPT_ENCODING, AVAILABLE_DICTIONARY] : [ACCEPT_ENCODING];
  const offers = dictionary ? settings.codings : settings.codings.filter((each) => !isDictionaryCoding(each));
  const chosen = accepted.choose(offers);
  if (chosen === undefined) return { action: "none", vary };
  const encoding: Encoding = {
    coding: chosen,
    level: settings.levels[chosen] ?? 1,
    dictionary: isDictionaryCoding(chosen) ? dictionary : undefined,
    flush: wantsFlush(settings, response),
  };
  return { action: "compress", vary, encoding };
}

/** Changes the head to what the body will be (CMP-07, CMP-08). */
export function applyPlan(plan: CompressionPlan, { headers }: ResponseHead, settings: ResolvedSettings): void {
  for (const name of plan.vary) addVary(headers, name);
  if (plan.action === "none") return;
  for (const name of ABOUT_THE_BYTES) headers.delete(name);
  const coding = plan.action === "compress" ? plan.encoding.coding : plan.coding;
  if (plan.action === "compress") headers.set("content-encoding", coding);
  else headers.delete("content-encoding");
  if (includesCoding(settings.preserveEtag, coding)) return;
  const etag = headers.find("etag")?.value;
  if (etag?.startsWith('"')) headers.set("etag", `W/${etag}`);
}

/**
 * A 304 speaks of what the client has kept: if that has the tag in its weak form, it was made here, and its tag stays
 * weak (RFC 9110, 15.4.5).
 */
export function applyToNotModified(request: RequestHead, { headers }: ResponseHead): void {
  const etag = headers.find("etag")?.value;
  if (etag === undefined || !etag.startsWith('"')) return;
  if (!request.headers.get("if-none-match")?.includes(`W/${etag}`)) return;
  headers.set("etag", `W/${etag}`);
  addVary(headers, ACCEPT_ENCODING);
}

const ACCEPT_ENCODING = "Accept-Encoding";
const AVAILABLE_DICTIONARY = "Available-Dictionary";
const UNTOUCHED: CompressionPlan = { action: "none", vary: [] };

/** What is no longer true of other bytes; the digests are those of RFC 9530 and of the time before. */
const ABOUT_THE_BYTES = ["content-length", "accept-ranges", "content-digest", "repr-digest", "digest", "content-md5"];

/** Statuses without a body, and 206, whose ranges are of the bytes as they are. */
const LEFT_ALONE: ReadonlySet<number> = new Set([101, 204, 205, 206, 304, 416]);

function mayBeChanged(request: RequestHead, response: ResponseHead): boolean {
  const { status, headers } = response;
  if (status < 200 || LEFT_ALONE.has(status) || headers.find("content-range") !== undefined) return false;
  if (request.method === "CONNECT") return false;
  // RFC 9111, 5.2.1.6 and 5.2.2.6.
  return !hasNoTransform(request.headers) && !hasNoTransform(headers);
}

function hasNoTransform(headers: HeaderMap): boolean {
  const value = headers.find("cache-control") && headers.get("cache-control");
  return value !== undefined && /(?:^|[\s,])no-transform\s*(?:$|[,=])/i.test(value);
}

function addVary(headers: HeaderMap, name: string): void {
  const value = headers.get("vary");
  const names =
    value === undefined
      ? []
      : value
          .toLowerCase()
          .split(",")
          .map((each) => each.trim());
  if (names.includes("*") || names.includes(name.toLowerCase())) return;
  headers.set("vary", value === undefined || value.trim() === "" ? name : `${value}, ${name}`);
}
