import { createHmac, randomBytes } from "node:crypto";
import { CirqueError } from "@cirque/core";
import { isFieldValue, type RequestHead } from "@cirque/http";
import type { MaybePromise } from "../../maybe-promise.ts";
import type { Session } from "../../session.ts";
import type { HttpModule, HttpModuleFactory, ModuleOptions } from "../http-module.ts";
import { PasswordHash } from "./password-hash.ts";

/** Settings of {@link basicAuthentication}. */
export interface BasicAuthenticationOptions extends ModuleOptions {
  /** Users with the hashes of their passwords, from `hashPassword`; or what says whether a password is right. */
  readonly users:
    | Readonly<Record<string, string>>
    | ((user: string, password: string, session: Session) => MaybePromise<boolean>);
  /** What browsers show to whom they ask for a password. Default `"restricted"`. */
  readonly realm?: string;
  /** Whether origins get the user's credentials. Default false. */
  readonly forward?: boolean;
  /**
   * How long a password that was right is known without hashing it again, in milliseconds. Not for `users` as a function.
   * Default one minute.
   */
  readonly rememberMs?: number;
  /**
   * How many passwords are hashed at a time, which takes CPU and memory; requests beyond are answered with 503. Default 16.
   */
  readonly maxChecks?: number;
}

/**
 * Asks for a name and a password (RFC 7617). Only over TLS: both are readable on the way otherwise.
 *
 * @throws CirqueError `InvalidArgument` for a hash, a name or a realm that cannot be used.
 * @example
 * const modules = [basicAuthentication({ users: { ann: "$scrypt$ln=15,r=8,p=1$..." }, realm: "staff" })];
 */
export function basicAuthentication(options: BasicAuthenticationOptions): HttpModuleFactory<BasicAuthentication> {
  const { name = "basic authentication", order = 700, users, realm = "restricted", forward = false } = options;
  const { rememberMs = 60_000, maxChecks = 16 } = options;
  if (!isFieldValue(realm) || /["\\]/.test(realm)) {
    throw CirqueError.internal("InvalidArgument", `${JSON.stringify(realm)} cannot be the name of a realm`);
  }
  const check = typeof users === "function" ? users : new PasswordFile(users, rememberMs, maxChecks).check;
  const challenge = `Basic realm="${realm}", charset="UTF-8"`;
  return { name, order, create: () => new BasicAuthentication(check, challenge, forward) };
}

/** Who sent a request. */
export class BasicAuthentication implements HttpModule {
  /** The name of the user, once it is known; undefined before. */
  user: string | undefined;
  readonly #check: (user: string, password: string, session: Session) => MaybePromise<boolean>;
  readonly #challenge: string;
  readonly #forward: boolean;

  constructor(
    check: (user: string, password: string, session: Session) => MaybePromise<boolean>,
    challenge: string,
    forward: boolean,
  ) {
    this.#check = check;
    this.#challenge = challenge;
    this.#forward = forward;
  }

  async requestFilter(session: Session, request: RequestHead): Promise<Response | undefined> {
    const credentials = readCredentials(request.headers.getAll("authorization"));
    if (credentials === undefined || !(await this.#check(credentials.user, credentials.password, session))) {
      return new Response("401 Unauthorized\n", { status: 401, headers: { "www-authenticate": this.#challenge } });
    }
    this.user = credentials.user;
    if (!this.#forward) request.headers.delete("authorization");
    return undefined;
  }
}

/** The name and password of the one `Authorization` field (RFC 7617, 2); undefined for none, several, or another. */
function readCredentials([value, ...others]: readonly string[]): { user: string; password: string } | undefined {
  const [, token] = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(value ?? "") ?? [];
  if (token === undefined || others.length > 0) return undefined;
  const text = Buffer.from(token, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Remembered credentials at most. */
const MAX_REMEMBERED = 1000;

/** Users and hashes. */
class PasswordFile {
  readonly #hashes: ReadonlyMap<string, PasswordHash>;
  /** Takes as long for a user that there is not as for one that there is. */
  readonly #nobody = new PasswordHash(`$scrypt$ln=15,r=8,p=1$${"A".repeat(22)}$${"A".repeat(43)}`);
  readonly #rememberMs: number;
  readonly #maxChecks: number;
  /** Which credentials were right until when: under a digest, so that no password lies about in memory. */
  readonly #remembered = new Map<string, number>();
  readonly #key = randomBytes(32);
  #checks = 0;

  constructor(users: Readonly<Record<string, string>>, rememberMs: number, maxChecks: number) {
    for (const name of Object.keys(users)) {
      if (name.includes(":")) {
        throw CirqueError.internal("InvalidArgument", `the user ${JSON.stringify(name)} has a colon (RFC 7617, 2)`);
      }
    }
    this.#hashes = new Map(Object.entries(users).map(([name, hash]) => [name, new PasswordHash(hash)]));
    this.#rememberMs = rememberMs;
    this.#maxChecks = maxChecks;
  }

  readonly check = (user: string, password: string): MaybePromise<boolean> => {
    const digest = createHmac("sha256", this.#key).update(`${user}:${password}`).digest("base64");
    if ((this.#remembered.get(digest) ?? 0) > performance.now()) return true;
    return this.#hash(user, password, digest);
  };

  async #hash(user: string, password: string, digest: string): Promise<boolean> {
    if (this.#checks >= this.#maxChecks) {
      throw CirqueError.httpStatus(503, "too many passwords are being checked", { source: "downstream" });
    }
    this.#checks++;
    try {
      const known = this.#hashes.get(user);
      const matches = await (known ?? this.#nobody).matches(password);
      if (!matches || known === undefined) return false;
    } finally {
      this.#checks--;
    }
    this.#remembered.delete(digest);
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size >= MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest);
    this.#remembered.set(digest, performance.now() + this.#rememberMs);
    return true;
  }
}
