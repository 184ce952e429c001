import { isIPv4, isIPv6 } from "node:net";
import type { TcpAddress } from "../address/socket-address.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import type { ErrorCode } from "../errors/error-catalogue.ts";
import type { HandshakeReader, Step } from "./exchange-bytes.ts";
import type { NextHop } from "./next-hop.ts";

const VERSION = 5;
const NO_AUTHENTICATION = 0;
const USERNAME_PASSWORD = 2;
const NO_METHOD = 0xff;

/** What a client says first (RFC 1928, 3): how it can prove who it is. */
export function socks5Greeting({ credentials }: NextHop): Buffer {
  return credentials === undefined
    ? Buffer.from([VERSION, 1, NO_AUTHENTICATION])
    : Buffer.from([VERSION, 2, NO_AUTHENTICATION, USERNAME_PASSWORD]);
}

/**
 * The rest of the handshake of SOCKS 5 (RFC 1928, with user name and password of RFC 1929): the method, the proof if one is
 * asked for, and the request to connect, by IP address or by name, which the proxy then resolves.
 */
export class Socks5Reader implements HandshakeReader<true> {
  readonly #proxy: string;
  readonly #target: TcpAddress;
  readonly #nextHop: NextHop;
  #expects: "method" | "verdict" | "reply" = "method";

  constructor(proxy: string, target: TcpAddress, nextHop: NextHop) {
    this.#proxy = proxy;
    this.#target = target;
    this.#nextHop = nextHop;
  }

  read(received: Buffer): Step<true> | undefined {
    if (received.length < 2) return undefined;
    const [first = 0, second = 0] = received;
    switch (this.#expects) {
      case "method":
        return this.#onMethod(first, second);
      case "verdict":
        // RFC 1929, 2: the version of this part is 1; some proxies say 5.
        if (second !== 0) throw this.#failure("ConnectProxyFailure", "refused the user name and password");
        this.#expects = "reply";
        return { consumed: 2, send: connectCommand(this.#target) };
      default:
        return this.#onReply(received, first, second);
    }
  }

  #onMethod(version: number, method: number): Step<true> {
    if (version !== VERSION) throw this.#failure("ConnectProxyFailure", "does not speak SOCKS 5");
    const { credentials } = this.#nextHop;
    if (method === USERNAME_PASSWORD && credentials !== undefined) {
      this.#expects = "verdict";
      return { consumed: 2, send: authentication(credentials.username, credentials.password) };
    }
    if (method !== NO_AUTHENTICATION) {
      const what = method === NO_METHOD ? "wants another proof of who asks" : `chose method ${method}, unasked`;
      throw this.#failure("ConnectProxyFailure", what);
    }
    this.#expects = "reply";
    return { consumed: 2, send: connectCommand(this.#target) };
  }

  /** RFC 1928, 6: version, reply, reserved, the address that the proxy connected from, its port. */
  #onReply(received: Buffer, version: number, reply: number): Step<true> | undefined {
    if (version !== VERSION) throw this.#failure("ConnectProxyFailure", "does not speak SOCKS 5");
    if (reply !== 0) {
      const { code, text, retry } = REPLIES[reply] ?? {
        code: "ConnectProxyFailure",
        text: `says ${reply}`,
        retry: false,
      };
      throw this.#failure(code, text, retry);
    }
    if (received.length < 5) return undefined;
    const type = received[3];
    const addressBytes = type === 1 ? 4 : type === 4 ? 16 : type === 3 ? 1 + (received[4] ?? 0) : undefined;
    if (addressBytes === undefined) throw this.#failure("ConnectProxyFailure", `names an address of type ${type}`);
    const length = 4 + addressBytes + 2;
    return received.length < length ? undefined : { consumed: length, result: true };
  }

  #failure(code: ErrorCode, what: string, retry = false): CirqueError {
    const { host, port } = this.#target;
    return CirqueError.upstream(code, `the SOCKS proxy ${this.#proxy} ${what} (for ${host}:${port})`, {
      retry,
      context: { proxy: this.#proxy },
    });
  }
}

/** RFC 1928, 6. */
const REPLIES: Readonly<Record<number, { code: ErrorCode; text: string; retry: boolean }>> = {
  1: { code: "ConnectProxyFailure", text: "failed", retry: true },
  2: { code: "ConnectProxyFailure", text: "does not allow the connection", retry: false },
  3: { code: "ConnectNoRoute", text: "cannot reach the network", retry: true },
  4: { code: "ConnectNoRoute", text: "cannot reach the host", retry: true },
  5: { code: "ConnectRefused", text: "was refused the connection", retry: true },
  6: { code: "ConnectTimedout", text: "got no answer in time", retry: true },
  7: { code: "ConnectProxyFailure", text: "does not connect for anybody", retry: false },
  8: { code: "ConnectProxyFailure", text: "does not know this type of address", retry: false },
};

/** RFC 1929, 2. */
function authentication(username: string, password: string): Buffer {
  const name = Buffer.from(username);
  const secret = Buffer.from(password);
  return Buffer.concat([Buffer.from([1, name.length]), name, Buffer.from([secret.length]), secret]);
}

/** RFC 1928, 4. */
function connectCommand({ host, port }: TcpAddress): Buffer {
  const address = isIPv4(host)
    ? Buffer.from([1, ...host.split(".").map(Number)])
    : isIPv6(host)
      ? Buffer.concat([Buffer.from([4]), ipv6Bytes(host)])
      : Buffer.concat([Buffer.from([3, host.length]), Buffer.from(host, "latin1")]);
  return Buffer.concat([Buffer.from([VERSION, 1, 0]), address, Buffer.from([port >> 8, port & 0xff])]);
}

function ipv6Bytes(host: string): Buffer {
  // The zone says which of our own links is meant; the proxy has others. An embedded IPv4 address becomes two groups.
  const text = (host.split("%", 1)[0] ?? "").replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(":"),
  );
  const [left = "", right] = text.split("::");
  const groups = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const before = groups(left);
  const after = right === undefined ? [] : groups(right);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return Buffer.from([...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff]));
}
