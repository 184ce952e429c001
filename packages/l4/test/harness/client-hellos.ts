import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import tls from "node:tls";

/** What a TLS client of Node sends first. */
export async function clientHelloOfNode(options: tls.ConnectionOptions): Promise<Buffer> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const client = tls.connect({ ...options, port: (server.address() as { port: number }).port, host: "127.0.0.1" });
  client.on("error", () => {});
  const [socket] = await accepted;
  const [bytes] = (await once(socket, "data")) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

/** The parts of a ClientHello to build by hand. */
export interface HelloParts {
  readonly legacyVersion?: number;
  readonly extensions?: readonly (readonly [type: number, data: Buffer])[];
}

/** A ClientHello as a message, without records around it. */
export function helloMessage({ legacyVersion = 0x0303, extensions }: HelloParts = {}): Buffer {
  const body = Buffer.concat([
    uint16(legacyVersion),
    Buffer.alloc(32, 7),
    vector8(Buffer.alloc(32, 1)),
    vector16(Buffer.from([0x1a, 0x1a, 0x13, 0x01])),
    vector8(Buffer.from([0])),
    ...(extensions === undefined
      ? []
      : [vector16(Buffer.concat(extensions.map(([type, data]) => Buffer.concat([uint16(type), vector16(data)]))))]),
  ]);
  return handshake(1, body);
}

export function handshake(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, 0]), uint16(body.length), body]);
}

/** A message in records of at most `fragmentBytes`. */
export function records(message: Buffer, fragmentBytes = 16_384): Buffer {
  const parts: Buffer[] = [];
  for (let offset = 0; offset < message.length; offset += fragmentBytes) {
    const fragment = message.subarray(offset, offset + fragmentBytes);
    parts.push(Buffer.from([22, 3, 1]), vector16(fragment));
  }
  return Buffer.concat(parts);
}

/** The extension `server_name` with these names. */
export function serverNames(...names: readonly string[]): readonly [number, Buffer] {
  const list = names.map((name) => Buffer.concat([Buffer.from([0]), vector16(Buffer.from(name, "latin1"))]));
  return [0, vector16(Buffer.concat(list))];
}

/** The extension of ALPN. */
export function alpn(...protocols: readonly Buffer[]): readonly [number, Buffer] {
  return [16, vector16(Buffer.concat(protocols.map(vector8)))];
}

/** The extension `supported_versions`. */
export function supportedVersions(...versions: readonly number[]): readonly [number, Buffer] {
  return [43, vector8(Buffer.concat(versions.map(uint16)))];
}

export function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

function vector8(data: Buffer): Buffer {
  return Buffer.concat([Buffer.from([data.length]), data]);
}

function vector16(data: Buffer): Buffer {
  return Buffer.concat([uint16(data.length), data]);
}
