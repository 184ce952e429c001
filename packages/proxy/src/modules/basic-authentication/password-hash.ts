import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from "node:crypto";
import { CirqueError } from "@cirque/core";

/** How hard it is to try out passwords (RFC 7914, 2): `cost` 2^15 takes 32 MiB and some 60 ms. */
const COST_LOG = 15;
const BLOCK_SIZE = 8;
const PARALLELISM = 1;
const KEY_BYTES = 32;
/** What a hash in a file may ask for at most: 128 MiB. */
const MAX_MEMORY = 128 * 1024 * 1024;

/**
 * Hashes a password with scrypt and a salt of its own, as `basicAuthentication` takes it:
 * `$scrypt$ln=15,r=8,p=1$<salt>$<hash>`.
 *
 * @example
 * node -e 'import("@cirque/proxy").then(async (m) => console.log(await m.hashPassword(process.argv[1])))' 'a password'
 */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const parameters = { cost: 2 ** COST_LOG, blockSize: BLOCK_SIZE, parallelization: PARALLELISM };
  const key = await derive(password, salt, KEY_BYTES, parameters);
  return `$scrypt$ln=${COST_LOG},r=${BLOCK_SIZE},p=${PARALLELISM}$${unpadded(salt)}$${unpadded(key)}`;
}

/** A hash that was read, to compare passwords with. */
export class PasswordHash {
  readonly #salt: Buffer;
  readonly #key: Buffer;
  readonly #parameters: ScryptOptions;

  /** @throws CirqueError `InvalidArgument` for what `hashPassword` does not make, or asks for too much. */
  constructor(text: string) {
    const found = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]{22,})$/.exec(text);
    // The text itself is not for logs.
    if (found === null) throw invalid("expected what `hashPassword` makes: $scrypt$ln=15,r=8,p=1$<salt>$<hash>");
    const [, logarithm, blockSize, parallelization, salt = "", key = ""] = found;
    this.#salt = Buffer.from(salt, "base64");
    this.#key = Buffer.from(key, "base64");
    this.#parameters = {
      cost: 2 ** Number(logarithm),
      blockSize: Number(blockSize),
      parallelization: Number(parallelization),
    };
    const memory = 128 * 2 ** Number(logarithm) * Number(blockSize);
    const positive = Number(logarithm) > 0 && Number(blockSize) > 0 && Number(parallelization) > 0;
    if (!positive || memory > MAX_MEMORY)
      throw invalid(`the parameters are not between 1 and those for ${MAX_MEMORY} bytes`);
  }

  /** Whether the password is the one: in the thread pool, and in a time that says nothing of how wrong it is. */
  async matches(password: string): Promise<boolean> {
    return timingSafeEqual(await derive(password, this.#salt, this.#key.length, this.#parameters), this.#key);
  }
}

function derive(password: string, salt: Buffer, length: number, parameters: ScryptOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize("NFC"), salt, length, { ...parameters, maxmem: 2 * MAX_MEMORY }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

function unpadded(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}

function invalid(message: string): CirqueError {
  return CirqueError.internal("InvalidArgument", `a password hash cannot be used: ${message}`);
}
