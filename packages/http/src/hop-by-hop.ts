import type { Field } from "./field.ts";
import type { HeaderMap } from "./header-map.ts";

/**
 * Removes the fields that are for one connection only (RFC 9110, 7.6.1): the known ones and those that `Connection`
 * names. Call it before anything is added, or a client could name what a filter adds and have it removed.
 *
 * `Connection` cannot name fields that end-to-end meaning or framing hangs on; such a nomination is ignored.
 * `Transfer-Encoding` goes too: framing is the sender's own affair. `TE: trailers` stays, also where `Connection` names it
 * as it must: it is how a gRPC client says that it reads trailers.
 */
export function stripHopByHop(headers: HeaderMap): void {
  const fields = headers.fields();
  let nominated: string | undefined;
  let found = false;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i] as Field;
    if (!isHopByHop(field)) continue;
    found = true;
    if (!field.is("connection") || field.valueIs("keep-alive") || field.valueIs("close")) continue;
    nominated = nominated === undefined ? field.value : `${nominated},${field.value}`;
  }
  if (!found) return;
  if (nominated === undefined) {
    headers.filter(isEndToEnd);
    return;
  }
  const names = nominations(nominated.toLowerCase());
  headers.filter((field) => isEndToEnd(field) && !names.has(field.name.toLowerCase()));
}

function isEndToEnd(field: Field): boolean {
  return !isHopByHop(field);
}

function isHopByHop(field: Field): boolean {
  switch (field.nameEnd - field.start) {
    case 2:
      return field.is("te") && !field.valueIs("trailers");
    case 7:
      return field.is("upgrade") || field.is("trailer");
    case 10:
      return field.is("connection") || field.is("keep-alive");
    case 14:
      return field.is("http2-settings");
    case 16:
      return field.is("proxy-connection");
    case 17:
      return field.is("transfer-encoding");
    case 18:
      return field.is("proxy-authenticate");
    case 19:
      return field.is("proxy-authorization");
    case 25:
      return field.is("proxy-authentication-info");
    default:
      return false;
  }
}

function nominations(connection: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const option of connection.split(",")) {
    const name = option.trim();
    if (!NEVER_NOMINATED.has(name)) names.add(name);
  }
  return names;
}

/** Ends a request's identity or a message's framing: a client that names one of these wants to confuse somebody. */
const NEVER_NOMINATED: ReadonlySet<string> = new Set([
  "",
  "close",
  "te",
  "host",
  "content-length",
  "content-type",
  "content-encoding",
  "authorization",
  "cookie",
  "set-cookie",
  "cache-control",
  "forwarded",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
]);
