import { CirqueError, isCirqueError } from "@cirque/core";
import { isFieldValue, isToken, type RequestHead } from "@cirque/http";
import type { HttpModule, HttpModuleFactory, MaybePromise, ModuleOptions, Session } from "@cirque/proxy";
import { errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from "jose";
import { claimHeader } from "./claim-header.ts";
import { type JwtKeys, type KeySource, keySource } from "./key-source.ts";

/** Settings of {@link jwtAuthentication}. */
export interface JwtAuthenticationOptions extends ModuleOptions {
  /** Where the keys come from. */
  readonly keys: JwtKeys;
  /** Who issues tokens: the claim `iss` has to be one of these. */
  readonly issuer: string | readonly string[];
  /** Whom tokens are for: the claim `aud` has to have one of these. */
  readonly audience: string | readonly string[];
  /**
   * Algorithms that signatures may have. Default: HS256, 384 and 512 with a secret; with other keys RS, PS and ES with 256,
   * 384 and 512, and EdDSA.
   */
  readonly algorithms?: readonly string[];
  /** How far clocks may be apart, in milliseconds. Default 5,000. */
  readonly clockToleranceMs?: number;
  /** Claims that have to be there, beside `exp`, `iss` and `aud`. */
  readonly requiredClaims?: readonly string[];
  /** Whether a token with these claims may do what is asked for. One that may not is answered with 403. Default: yes. */
  readonly allow?: (claims: JWTPayload, session: Session) => MaybePromise<boolean>;
  /** Fields that origins are sent claims in, by claim. What clients send in them is dropped. */
  readonly claimsToHeaders?: Readonly<Record<string, string>>;
  /** The token of a request. Default: that of `Authorization: Bearer`. */
  readonly tokenOf?: (session: Session) => string | undefined;
  /** Whether requests without a token go on, without claims. Those with one that is not valid never do. Default false. */
  readonly optional?: boolean;
  /** Whether origins get the field `Authorization`. Default true. */
  readonly forward?: boolean;
  /** What clients are told that they need a token for. Default `"restricted"`. */
  readonly realm?: string;
}

/**
 * Lets requests in by a signed token, a JWT (RFC 7519; RFC 6750). A request without one, or with one that is not valid, is
 * answered with 401; when no keys are to be had, with 503.
 *
 * @throws CirqueError `InvalidArgument` for settings that could not work, or that would let anybody in.
 * @example
 * const jwt = jwtAuthentication({
 *   keys: { jwksUrl: "https://login.example/keys" },
 *   issuer: "https://login.example",
 *   audience: "api",
 *   claimsToHeaders: { sub: "x-user" },
 * });
 * const proxy = httpProxyService(server.configuration, callbacks, { modules: [jwt] });
 * // in callbacks: session.module(jwt).claims?.sub
 */
export function jwtAuthentication(options: JwtAuthenticationOptions): HttpModuleFactory<JwtModule> {
  const { name = "JWT authentication", order = 700, keys } = options;
  check(options);
  const source = keySource(keys);
  const algorithms = [...(options.algorithms ?? source.algorithms)];
  const unknown = algorithms.find((algorithm) => !source.algorithms.includes(algorithm));
  if (unknown !== undefined) throw invalid(`the algorithm ${JSON.stringify(unknown)} does not go with these keys`);
  const verification: JWTVerifyOptions = {
    algorithms,
    issuer: listOf(options.issuer),
    audience: listOf(options.audience),
    clockTolerance: (options.clockToleranceMs ?? 5000) / 1000,
    requiredClaims: ["exp", ...(options.requiredClaims ?? [])],
  };
  const verifier = new Verifier(options, source, verification);
  return { name, order, create: () => new JwtModule(verifier) };
}

/** Who sent a request. */
export class JwtModule implements HttpModule {
  /** The claims of the token; undefined before it was verified, and without one. */
  claims: JWTPayload | undefined;
  readonly #verifier: Verifier;

  constructor(verifier: Verifier) {
    this.#verifier = verifier;
  }

  async requestFilter(session: Session, request: RequestHead): Promise<Response | undefined> {
    const result = await this.#verifier.verify(session, request);
    if (result instanceof Response) return result;
    this.claims = result;
    return undefined;
  }
}

/** What the requests of a module have in common. */
class Verifier {
  readonly #options: JwtAuthenticationOptions;
  readonly #source: KeySource;
  readonly #verification: JWTVerifyOptions;
  readonly #headers: readonly (readonly [claim: string, field: string])[];

  constructor(options: JwtAuthenticationOptions, source: KeySource, verification: JWTVerifyOptions) {
    this.#options = options;
    this.#source = source;
    this.#verification = verification;
    this.#headers = Object.entries(options.claimsToHeaders ?? {});
  }

  /** The claims; undefined when there need be none; or the answer to a request that may not go on. */
  async verify(session: Session, request: RequestHead): Promise<JWTPayload | undefined | Response> {
    const { tokenOf = bearerToken, optional = false, forward = true, allow } = this.#options;
    for (const [, field] of this.#headers) request.headers.delete(field);
    const token = tokenOf(session);
    if (token === undefined) return optional ? undefined : this.#refusal(401);
    const claims = await this.#claimsOf(token);
    if (claims === undefined) return this.#refusal(401, "invalid_token");
    if (allow !== undefined && !(await allow(claims, session))) return this.#refusal(403, "insufficient_scope");
    for (const [claim, field] of this.#headers) {
      const value = Object.hasOwn(claims, claim) ? claimHeader(claims[claim]) : undefined;
      if (value !== undefined) request.headers.set(field, value);
    }
    if (!forward) request.headers.delete("authorization");
    return claims;
  }

  /** Undefined for a token that is not valid; why is for nobody to know who has made it up. */
  async #claimsOf(token: string): Promise<JWTPayload | undefined> {
    try {
      return (await jwtVerify(token, this.#source.getKey, this.#verification)).payload;
    } catch (error) {
      if (isCirqueError(error)) throw error;
      // `TypeError`: the key is not one for the algorithm that the token names.
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
      throw error;
    }
  }

  #refusal(status: 401 | 403, error?: string): Response {
    const realm = `Bearer realm="${this.#options.realm ?? "restricted"}"`;
    const challenge = error === undefined ? realm : `${realm}, error="${error}"`;
    const text = status === 401 ? "401 Unauthorized\n" : "403 Forbidden\n";
    return new Response(text, { status, headers: { "www-authenticate": challenge } });
  }
}

/** The token of the one `Authorization: Bearer` (RFC 6750, 2.1). Another scheme is no token; an odd one is not valid. */
function bearerToken({ request }: Session): string | undefined {
  const [value, ...others] = request.headers.getAll("authorization");
  if (value === undefined || !/^bearer(?: |$)/i.test(value)) return undefined;
  return others.length > 0 ? "" : value.slice("bearer".length).trim();
}

function check({
  issuer,
  audience,
  realm = "",
  claimsToHeaders = {},
  clockToleranceMs = 0,
}: JwtAuthenticationOptions): void {
  for (const [name, values] of Object.entries({ issuer: listOf(issuer), audience: listOf(audience) })) {
    if (values.length === 0 || values.some((value) => typeof value !== "string" || value === "")) {
      throw invalid(`\`${name}\` is missing: tokens for others would be taken`);
    }
  }
  if (!isFieldValue(realm) || /["\\]/.test(realm))
    throw invalid(`${JSON.stringify(realm)} cannot be the name of a realm`);
  if (!(clockToleranceMs >= 0)) throw invalid(`clockToleranceMs is ${clockToleranceMs}: milliseconds are expected`);
  for (const field of Object.values(claimsToHeaders)) {
    if (!isToken(field)) throw invalid(`${JSON.stringify(field)} is not the name of a field`);
  }
}

function listOf(value: string | readonly string[] | undefined): string[] {
  if (value === undefined) return [];
  return typeof value === "string" ? [value] : [...value];
}

function invalid(message: string): CirqueError {
  return CirqueError.internal("InvalidArgument", `JWT: ${message}`);
}
