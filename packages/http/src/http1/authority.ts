import { everyCharacter, HOST_NAME } from "../characters.ts";
import type { Field } from "../field.ts";
import type { HttpVersion } from "../request-head.ts";
import { MalformedMessage } from "./malformed-message.ts";

/**
 * Checks that the request names one authority, in one form (RFC 9112, 3.2; RFC 9110, 7.2): the target is of a form that
 * fits the method, exactly one Host field is there (HTTP/1.0 may have none), and an absolute target agrees with it.
 * Otherwise two servers in a row could take the request for different sites.
 * @throws MalformedMessage
 */
export function checkAuthority(method: string, target: string, version: HttpVersion, fields: readonly Field[]): void {
  let host: string | undefined;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i] as Field;
    if (!field.is("host")) continue;
    if (host !== undefined) throw new MalformedMessage("repeated-host", "two Host fields");
    host = field.value;
  }
  if (host === undefined) {
    if (version === "1.1") throw new MalformedMessage("missing-host", "HTTP/1.1 requires a Host field");
  } else if (host !== lastValidHost && !isAuthority(host)) {
    throw new MalformedMessage("invalid-host", "expected a host name or address and an optional port");
  }
  lastValidHost = host;
  // 0x2f is "/": origin form, nearly every request.
  if (target.charCodeAt(0) === 0x2f) {
    if (method === "CONNECT") throw new MalformedMessage("invalid-target", "CONNECT takes host:port");
    return;
  }
  checkOtherForms(method, target, host);
}

/** The value found valid last: a server hears the same few hosts all day. */
let lastValidHost: string | undefined;

function checkOtherForms(method: string, target: string, host: string | undefined): void {
  if (method === "CONNECT") {
    if (!isAuthority(target) || !/:\d+$/.test(target)) {
      throw new MalformedMessage("invalid-target", "CONNECT takes host:port");
    }
    if (
      host !== undefined &&
      host.toLowerCase() !== target.toLowerCase() &&
      host.toLowerCase() !== withoutPort(target).toLowerCase()
    ) {
      throw new MalformedMessage("authority-mismatch", "Host and the target of CONNECT differ");
    }
    return;
  }
  if (target === "*") {
    if (method !== "OPTIONS") throw new MalformedMessage("invalid-target", "only OPTIONS takes *");
    return;
  }
  const absolute = /^(https?):\/\/([^/?]*)(?=[/?]|$)/i.exec(target);
  const scheme = absolute?.[1];
  const authority = absolute?.[2];
  if (scheme === undefined || authority === undefined || !isAuthority(authority)) {
    throw new MalformedMessage("invalid-target", "expected a path, or http://host and a path");
  }
  if (host !== undefined && canonical(authority, scheme) !== canonical(host, scheme)) {
    throw new MalformedMessage("authority-mismatch", "Host and the absolute target differ");
  }
}

/** Whether `text` is `host` or `host:port` (RFC 3986, 3.2.2 and 3.2.3), without user information and not a list. */
export function isAuthority(text: string): boolean {
  if (text.charCodeAt(0) === 0x5b) {
    const end = text.indexOf("]") + 1;
    return isBracketedAddress(text.slice(0, end)) && isPort(text.slice(end));
  }
  const colon = text.indexOf(":");
  const name = colon === -1 ? text : text.slice(0, colon);
  return isHostName(name) && (colon === -1 || isPort(text.slice(colon)));
}

/** An IPv6 address in brackets. The letters are checked first, so that the URL parser can find nothing else in it. */
function isBracketedAddress(text: string): boolean {
  return /^\[[0-9a-f:.]+\]$/i.test(text) && URL.canParse(`http://${text}/`);
}

function isHostName(text: string): boolean {
  return text.length > 0 && everyCharacter(text, HOST_NAME) && !/%(?![0-9a-f]{2})/i.test(text);
}

/** Nothing, or a colon and a port. An empty port is valid (RFC 3986, 3.2.3). */
function isPort(text: string): boolean {
  if (text === "" || text === ":") return true;
  return /^:\d{1,5}$/.test(text) && Number(text.slice(1)) <= 65535;
}

function canonical(authority: string, scheme: string): string {
  const lower = authority.toLowerCase();
  const usualPort = scheme.toLowerCase() === "https" ? ":443" : ":80";
  return lower.endsWith(usualPort)
    ? lower.slice(0, -usualPort.length)
    : lower.endsWith(":")
      ? lower.slice(0, -1)
      : lower;
}

function withoutPort(authority: string): string {
  return authority.slice(0, authority.lastIndexOf(":"));
}
