import { CirqueError } from "@cirque/core";
import { type HeaderMap, isToken, type RequestHead, type ResponseHead } from "@cirque/http";
import type { Session } from "../session.ts";
import type { HttpModule, HttpModuleFactory, ModuleOptions } from "./http-module.ts";

/** Settings of {@link cors}. */
export interface CorsOptions extends ModuleOptions {
  /**
   * Origins whose pages may read responses: `"*"` for all, or texts as in `https://app.example`, patterns that match the
   * whole of one, or a function. `"null"`, which sandboxed pages send, has to be listed to be allowed.
   */
  readonly origins: "*" | readonly (string | RegExp)[] | ((origin: string, session: Session) => boolean);
  /** Methods beside GET, HEAD and POST, which need no leave. Default: PUT, PATCH and DELETE. */
  readonly methods?: readonly string[];
  /** Names of request fields that pages may set. `"*"`: those that they ask for. Default `"*"`. */
  readonly requestHeaders?: "*" | readonly string[];
  /** Names of response fields that pages may read, beside the safe ones. Default: none. */
  readonly exposedHeaders?: readonly string[];
  /** Whether cookies and other credentials may be sent along. Not with `origins: "*"`. Default false. */
  readonly credentials?: boolean;
  /** How many seconds browsers remember the answer to a preflight. Default 600. */
  readonly maxAgeSeconds?: number;
}

/**
 * Lets pages of other origins read responses (the CORS protocol of the fetch standard, 3.2). Preflights are answered here and
 * never get to an origin; what origins say of CORS themselves is replaced.
 *
 * @throws CirqueError `InvalidArgument` for settings that browsers would not take, or that open everything to everybody.
 * @example
 * const modules = [cors({ origins: ["https://app.example"], credentials: true })];
 */
export function cors(options: CorsOptions): HttpModuleFactory<HttpModule> {
  const { name = "CORS", order = 800, origins, exposedHeaders = [], credentials = false } = options;
  const { methods = ["PUT", "PATCH", "DELETE"], requestHeaders = "*", maxAgeSeconds = 600 } = options;
  check(options, [...methods, ...exposedHeaders, ...(requestHeaders === "*" ? [] : requestHeaders)]);
  const anybody = origins === "*";
  const isAllowed = originTest(origins);
  const allow = (headers: HeaderMap, origin: string): void => {
    headers.set("access-control-allow-origin", anybody ? "*" : origin);
    if (credentials) headers.set("access-control-allow-credentials", "true");
  };
  const known = requestHeaders === "*" ? undefined : requestHeaders.map((each) => each.toLowerCase());
  const preflightOf = (session: Session, request: RequestHead, origin: string): Response => {
    const headers = new Headers({ vary: `${anybody ? "" : "Origin, "}${PREFLIGHT_VARY}` });
    if (!isAllowed(origin, session)) return new Response(null, { status: 204, headers });
    headers.set("access-control-allow-methods", ["GET", "HEAD", "POST", ...methods].join(", "));
    const asked = request.headers.get("access-control-request-headers")?.toLowerCase().split(",") ?? [];
    const granted = asked.map((each) => each.trim()).filter((each) => isToken(each) && (known?.includes(each) ?? true));
    if (granted.length > 0) headers.set("access-control-allow-headers", granted.join(", "));
    headers.set("access-control-max-age", String(maxAgeSeconds));
    return new Response(null, { status: 204, headers });
  };
  const module: HttpModule = {
    requestFilter(session, request) {
      const origin = request.headers.get("origin");
      if (origin === undefined || request.method !== "OPTIONS") return undefined;
      return request.headers.has("access-control-request-method") ? preflightOf(session, request, origin) : undefined;
    },
    responseFilter(session, response) {
      const origin = session.request.headers.get("origin");
      const isPreflight =
        session.request.method === "OPTIONS" && session.request.headers.has("access-control-request-method");
      forget(response, origin !== undefined && isPreflight);
      // Also without an Origin: a cache may have the response for others.
      if (!anybody) addVary(response.headers, "Origin");
      if (origin === undefined || !isAllowed(origin, session)) return;
      allow(response.headers, origin);
      if (!isPreflight && exposedHeaders.length > 0) {
        response.headers.set("access-control-expose-headers", exposedHeaders.join(", "));
      }
    },
  };
  return { name, order, create: () => module };
}

/** Removes what an origin says; of a preflight, the answer is this module's own. */
function forget({ headers }: ResponseHead, isPreflight: boolean): void {
  headers.delete("access-control-allow-origin");
  headers.delete("access-control-allow-credentials");
  headers.delete("access-control-expose-headers");
  if (isPreflight) return;
  headers.delete("access-control-allow-methods");
  headers.delete("access-control-allow-headers");
  headers.delete("access-control-max-age");
}

function addVary(headers: HeaderMap, name: string): void {
  const vary = headers.get("vary");
  const names = vary?.split(",").map((each) => each.trim().toLowerCase()) ?? [];
  if (names.includes("*") || names.includes(name.toLowerCase())) return;
  headers.set("vary", vary === undefined || vary === "" ? name : `${vary}, ${name}`);
}

function originTest(origins: CorsOptions["origins"]): (origin: string, session: Session) => boolean {
  if (origins === "*") return () => true;
  if (typeof origins === "function") return origins;
  const texts = new Set(origins.filter((each) => typeof each === "string"));
  const patterns = origins
    .filter((each) => each instanceof RegExp)
    .map((each) => new RegExp(`^(?:${each.source})$`, each.flags.replace(/[gy]/g, "")));
  return (origin) => texts.has(origin) || patterns.some((pattern) => pattern.test(origin));
}

function check({ origins, credentials, maxAgeSeconds = 0 }: CorsOptions, tokens: readonly string[]): void {
  if (origins === "*" && credentials) {
    throw invalid('`credentials` with `origins: "*"` would let every page act for its visitor: list the origins');
  }
  const texts = Array.isArray(origins) ? origins.filter((each) => typeof each === "string") : [];
  for (const text of texts) {
    if (text !== "null" && (!URL.canParse(text) || new URL(text).origin !== text)) {
      throw invalid(`${JSON.stringify(text)} is not an origin as browsers send it, such as https://app.example`);
    }
  }
  for (const token of tokens) if (!isToken(token)) throw invalid(`${JSON.stringify(token)} is not a name`);
  if (!Number.isInteger(maxAgeSeconds) || maxAgeSeconds < 0) throw invalid("maxAgeSeconds is not a number of seconds");
}

function invalid(message: string): CirqueError {
  return CirqueError.internal("InvalidArgument", `CORS: ${message}`);
}

const PREFLIGHT_VARY = "Access-Control-Request-Method, Access-Control-Request-Headers";
