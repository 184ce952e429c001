import type { ClientHello, ClientHelloFault } from "./client-hello.ts";

/** Reads the body of a ClientHello that is complete (RFC 8446, 4.1.2). */
export function readClientHello(body: Buffer): ClientHello | ClientHelloFault {
  const fields = new FieldReader(body);
  const legacyVersion = fields.uint(2);
  fields.take(RANDOM_BYTES);
  const sessionId = fields.vector(1);
  const cipherSuites = fields.vector(2);
  const compressionMethods = fields.vector(1);
  // Clients of TLS 1.0 may leave the extensions out altogether.
  const extensions = fields.left > 0 ? fields.vector(2) : EMPTY;
  if (fields.broken || fields.left > 0) return "bad-message";
  if (sessionId.length > 32 || cipherSuites.length < 2 || cipherSuites.length % 2 === 1) return "bad-message";
  if (compressionMethods.length === 0) return "bad-message";
  return readExtensions(extensions, legacyVersion);
}

function readExtensions(bytes: Buffer, legacyVersion: number): ClientHello | ClientHelloFault {
  const fields = new FieldReader(bytes);
  const seen = new Set<number>();
  let serverName: string | undefined;
  let alpnProtocols: readonly string[] = [];
  let versions: readonly string[] | undefined;
  let encryptedClientHello = false;
  while (fields.left > 0) {
    const type = fields.uint(2);
    const data = fields.vector(2);
    if (fields.broken || seen.has(type)) return "bad-message";
    seen.add(type);
    if (type === SERVER_NAME) {
      const name = readServerName(data);
      if (name === BROKEN) return "bad-message";
      if (name !== undefined && !HOST_NAME.test(name)) return "bad-server-name";
      serverName = name?.toLowerCase().replace(/\.$/, "");
    } else if (type === ALPN) {
      const protocols = readProtocols(data);
      if (protocols === BROKEN) return "bad-message";
      alpnProtocols = protocols;
    } else if (type === SUPPORTED_VERSIONS) {
      const offered = readVersions(data);
      if (offered === BROKEN) return "bad-message";
      versions = offered;
    } else if (type === ENCRYPTED_CLIENT_HELLO) {
      encryptedClientHello = true;
    }
  }
  versions ??= versionsUpTo(legacyVersion);
  return { serverName, alpnProtocols, versions, encryptedClientHello };
}

/** RFC 6066, 3. Names of other types than a host name are passed over. */
function readServerName(data: Buffer): string | undefined | typeof BROKEN {
  const fields = new FieldReader(data);
  const list = new FieldReader(fields.vector(2));
  if (fields.broken || fields.left > 0 || list.left === 0) return BROKEN;
  let found: string | undefined;
  while (list.left > 0) {
    const type = list.uint(1);
    const name = list.vector(2);
    if (list.broken || name.length === 0) return BROKEN;
    if (type !== 0) continue;
    // Two host names: a server could take the one, and who looks on the other.
    if (found !== undefined) return BROKEN;
    found = name.toString("latin1");
  }
  return found;
}

/** RFC 7301, 3.1, without the values that are only there to exercise servers (GREASE). */
function readProtocols(data: Buffer): readonly string[] | typeof BROKEN {
  const fields = new FieldReader(data);
  const list = new FieldReader(fields.vector(2));
  if (fields.broken || fields.left > 0 || list.left === 0) return BROKEN;
  const protocols: string[] = [];
  while (list.left > 0) {
    const name = list.vector(1);
    if (list.broken || name.length === 0) return BROKEN;
    if (name.length !== 2 || !isGrease(name.readUInt16BE(0))) protocols.push(name.toString("latin1"));
  }
  return protocols;
}

/** RFC 8446, 4.2.1. */
function readVersions(data: Buffer): readonly string[] | typeof BROKEN {
  const fields = new FieldReader(data);
  const list = new FieldReader(fields.vector(1));
  if (fields.broken || fields.left > 0 || list.left < 2 || list.left % 2 === 1) return BROKEN;
  const versions: string[] = [];
  while (list.left > 0) {
    const version = list.uint(2);
    if (!isGrease(version)) versions.push(nameOfVersion(version));
  }
  return versions;
}

function versionsUpTo(legacyVersion: number): readonly string[] {
  return legacyVersion >= 0x0301 ? [nameOfVersion(Math.min(legacyVersion, 0x0303))] : [];
}

function nameOfVersion(version: number): string {
  return VERSION_NAMES.get(version) ?? `0x${version.toString(16).padStart(4, "0")}`;
}

/** RFC 8701: 0x0a0a, 0x1a1a, ... */
function isGrease(value: number): boolean {
  return (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 0xff);
}

const SERVER_NAME = 0;
const ALPN = 16;
const SUPPORTED_VERSIONS = 43;
const ENCRYPTED_CLIENT_HELLO = 0xfe0d;
const RANDOM_BYTES = 32;
const EMPTY = Buffer.alloc(0);
const BROKEN = Symbol("broken");
const HOST_NAME = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?$/;
const VERSION_NAMES: ReadonlyMap<number, string> = new Map([
  [0x0304, "TLSv1.3"],
  [0x0303, "TLSv1.2"],
  [0x0302, "TLSv1.1"],
  [0x0301, "TLSv1"],
]);

/** Reads numbers and vectors one after the other. What is not there reads as 0 or empty, and marks it as broken. */
class FieldReader {
  broken = false;
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#offset;
  }

  take(length: number): Buffer {
    if (this.broken || length > this.left) {
      this.broken = true;
      this.#offset = this.#bytes.length;
      return EMPTY;
    }
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }

  uint(length: number): number {
    const bytes = this.take(length);
    return bytes.length === 0 ? 0 : bytes.readUIntBE(0, length);
  }

  /** Bytes with their length in front. */
  vector(lengthBytes: number): Buffer {
    return this.take(this.uint(lengthBytes));
  }
}
