import { createPublicKey, type KeyObject } from "node:crypto";
import { CirqueError } from "@cirque/core";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from "jose";

/** Where the keys come from that tokens are signed with: exactly one of these. */
export type JwtKeys =
  /** The URL of a key set (RFC 7517, 5), which is asked for when the first token comes, and kept. */
  | {
      readonly jwksUrl: string;
      /** How long the key set may take, in milliseconds. Default 5,000. */
      readonly timeoutMs?: number;
      /** How long it is kept before it is asked for again. Default ten minutes. */
      readonly cacheMs?: number;
      /** How long a kept one is used when no new one is to be had. Default one hour. */
      readonly staleMs?: number;
      /** The least time between two requests, whatever keys tokens name and however they fail. Default 30 seconds. */
      readonly cooldownMs?: number;
    }
  /** A key set as it stands. */
  | { readonly jwks: JSONWebKeySet }
  /** A public key as PEM. */
  | { readonly publicKey: string }
  /** A secret that is shared with the issuer: 32 bytes at least. */
  | { readonly secret: string | Uint8Array };

/** Keys for the verification of tokens, and the algorithms that may be used with them. */
export interface KeySource {
  readonly getKey: JWTVerifyGetKey;
  readonly algorithms: readonly string[];
}

/** @throws CirqueError `InvalidArgument` for keys that cannot be used. */
export function keySource(keys: JwtKeys): KeySource {
  if ("secret" in keys) {
    const bytes = typeof keys.secret === "string" ? new TextEncoder().encode(keys.secret) : keys.secret;
    if (bytes.length < 32) throw invalid("a secret has 32 bytes at least: a shorter one can be found out by trying");
    return { getKey: async () => bytes, algorithms: SYMMETRIC };
  }
  if ("publicKey" in keys) {
    const key = publicKeyOf(keys.publicKey);
    return { getKey: async () => key, algorithms: algorithmsOf(key) };
  }
  if ("jwks" in keys) {
    try {
      return { getKey: createLocalJWKSet(keys.jwks), algorithms: ASYMMETRIC };
    } catch (cause) {
      throw invalid("`jwks` is not a key set (RFC 7517, 5)", cause);
    }
  }
  if (!URL.canParse(keys.jwksUrl) || !/^https?:$/.test(new URL(keys.jwksUrl).protocol)) {
    throw invalid(`${JSON.stringify(keys.jwksUrl)} is not the URL of a key set`);
  }
  const { jwksUrl, timeoutMs = 5000, cacheMs = 600_000, staleMs = 3_600_000, cooldownMs = 30_000 } = keys;
  if (!Number.isInteger(timeoutMs))
    throw invalid(`timeoutMs is ${timeoutMs}: a whole number of milliseconds is expected`);
  for (const [name, ms] of Object.entries({ timeoutMs, cacheMs, staleMs, cooldownMs })) {
    if (!(ms >= 0)) throw invalid(`${name} is ${ms}: milliseconds are expected`);
  }
  const remote = new RemoteKeys(new URL(jwksUrl), { timeoutMs, cacheMs, staleMs, cooldownMs });
  return { getKey: remote.getKey, algorithms: ASYMMETRIC };
}

/** A key set larger than this is none. */
const MAX_KEY_SET_BYTES = 1024 * 1024;

interface RemoteTimes {
  readonly timeoutMs: number;
  readonly cacheMs: number;
  readonly staleMs: number;
  readonly cooldownMs: number;
}

/** The key set of an issuer, which may be slow, away, or hostile. */
class RemoteKeys {
  readonly #times: RemoteTimes;
  readonly #remote: ReturnType<typeof createRemoteJWKSet>;
  /** The last set that came, and when. */
  #kept: { readonly getKey: JWTVerifyGetKey; readonly at: number } | undefined;
  /** How many answers came, and which of them is kept. */
  #fetched = 0;
  #keptOf = 0;
  /** The last failure, and until when nobody asks again. */
  #failure: { readonly cause: unknown; readonly until: number } | undefined;

  constructor(url: URL, times: RemoteTimes) {
    this.#times = times;
    this.#remote = createRemoteJWKSet(url, {
      timeoutDuration: times.timeoutMs,
      cacheMaxAge: times.cacheMs,
      cooldownDuration: times.cooldownMs,
      [customFetch]: async (address, request) => {
        const response = await fetchKeySet(address, request);
        this.#fetched++;
        return response;
      },
    });
  }

  readonly getKey: JWTVerifyGetKey = async (header, token) => {
    const now = performance.now();
    if (this.#failure !== undefined && now < this.#failure.until) {
      return this.#stale(header, token, this.#failure.cause);
    }
    try {
      const key = await this.#remote(header, token);
      this.#keep();
      return key;
    } catch (cause) {
      // The set is there, and has no such key: that is the token's fault.
      if (NO_SUCH_KEY.some((fault) => cause instanceof fault)) {
        this.#keep();
        throw cause;
      }
      this.#failure = { cause, until: performance.now() + this.#times.cooldownMs };
      return this.#stale(header, token, cause);
    }
  };

  /** Keeps a set that has just come. */
  #keep(): void {
    if (this.#fetched === this.#keptOf) return;
    const set = this.#remote.jwks();
    if (set === undefined) return;
    this.#keptOf = this.#fetched;
    this.#kept = { getKey: createLocalJWKSet(set), at: performance.now() };
  }

  #stale(...[header, token, cause]: [...Parameters<JWTVerifyGetKey>, unknown]): ReturnType<JWTVerifyGetKey> {
    const { cacheMs, staleMs } = this.#times;
    if (this.#kept !== undefined && performance.now() - this.#kept.at < cacheMs + staleMs) {
      return this.#kept.getKey(header, token);
    }
    throw CirqueError.httpStatus(503, "the keys that tokens are signed with cannot be had", {
      source: "internal",
      cause,
    });
  }
}

const NO_SUCH_KEY = [errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys, errors.JOSENotSupported];

/** Fetches a key set, if it is not too large. */
async function fetchKeySet(...[url, options]: Parameters<typeof fetch>): Promise<Response> {
  const response = await fetch(url, options);
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    bytes += piece.length;
    if (bytes > MAX_KEY_SET_BYTES) throw new Error(`the key set has more than ${MAX_KEY_SET_BYTES} bytes`);
    pieces.push(piece);
  }
  const { status, headers } = response;
  return new Response(status === 200 ? Buffer.concat(pieces) : null, { status, headers });
}

function publicKeyOf(pem: string): KeyObject {
  try {
    // A private key would do as well, and should not be here.
    if (/PRIVATE KEY/.test(pem)) throw new Error("it is a private key");
    return createPublicKey(pem);
  } catch (cause) {
    throw invalid("`publicKey` is not a public key as PEM", cause);
  }
}

/** A key goes with some algorithms only: a token that names another one cannot be valid. */
function algorithmsOf(key: KeyObject): readonly string[] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const algorithms =
    type === "rsa"
      ? RSA
      : type === "ed25519"
        ? ED25519
        : type === "ec"
          ? CURVES.get(details?.namedCurve ?? "")
          : undefined;
  if (algorithms === undefined) throw invalid(`a key of the type ${type} does not go with any algorithm for tokens`);
  return algorithms;
}

function invalid(message: string, cause?: unknown): CirqueError {
  return CirqueError.internal("InvalidArgument", `JWT: ${message}`, cause === undefined ? {} : { cause });
}

const SYMMETRIC: readonly string[] = ["HS256", "HS384", "HS512"];
const RSA: readonly string[] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const ED25519: readonly string[] = ["EdDSA", "Ed25519"];
const CURVES: ReadonlyMap<string, readonly string[]> = new Map([
  ["prime256v1", ["ES256"]],
  ["secp384r1", ["ES384"]],
  ["secp521r1", ["ES512"]],
]);
const ASYMMETRIC: readonly string[] = [...RSA, ...Array.from(CURVES.values()).flat(), ...ED25519];
