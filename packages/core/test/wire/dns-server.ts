import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { Recorder } from "./recorder.ts";

/** What a name server answers: addresses, or what went wrong. Nothing at all where it is to be silent. */
export type DnsAnswer =
  | { readonly addresses: readonly string[]; readonly ttl: number }
  | "no-such-name"
  | "server-failure"
  | "silence"
  | "garbage";

const CODES = { "server-failure": 2, "no-such-name": 3 } as const;
const A = 1;
const AAAA = 28;

/** A name server (RFC 1035) that knows what it is told, over UDP on the loopback. */
export class DnsServer implements AsyncDisposable {
  readonly address: string;
  /** The questions, such as `a.example A`. */
  readonly questions = new Recorder<string>();
  /** Answers by question; a name that is not there does not exist. */
  readonly answers = new Map<string, DnsAnswer>();
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.address = `127.0.0.1:${socket.address().port}`;
    socket.on("message", (query, { address, port }) => {
      const response = this.#responseTo(query);
      if (response !== undefined) socket.send(response, port, address);
    });
  }

  static async start(): Promise<DnsServer> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    return new DnsServer(socket);
  }

  /** Sets the A records of a name, and that it has no AAAA. */
  set(name: string, addresses: readonly string[], ttl = 60): void {
    this.answers.set(`${name} A`, { addresses, ttl });
    this.answers.set(`${name} AAAA`, { addresses: [], ttl });
  }

  /** Sets what is answered to whoever asks for the name. */
  fail(name: string, answer: DnsAnswer): void {
    for (const type of ["A", "AAAA"]) this.answers.set(`${name} ${type}`, answer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await once(this.#socket, "close");
  }

  #responseTo(query: Buffer): Buffer | undefined {
    const { question, type, end } = readQuestion(query);
    this.questions.add(question);
    const answer = this.answers.get(question) ?? "no-such-name";
    if (answer === "silence") return undefined;
    const head = Buffer.from(query.subarray(0, end));
    if (answer === "garbage") return Buffer.concat([head.subarray(0, 2), Buffer.from([0x81, 0x80, 0xff])]);
    const records = typeof answer === "string" ? [] : answer.addresses.map((text) => record(type, text, answer.ttl));
    head.writeUInt16BE(0x8180 | (typeof answer === "string" ? CODES[answer] : 0), 2);
    head.writeUInt16BE(records.length, 6);
    head.writeUInt32BE(0, 8);
    return Buffer.concat([head, ...records]);
  }
}

function readQuestion(query: Buffer): { question: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = query.readUInt16BE(at + 1);
  return { question: `${labels.join(".").toLowerCase()} ${type === AAAA ? "AAAA" : "A"}`, type, end: at + 5 };
}

/** A record whose name is that of the question. */
function record(type: number, text: string, ttl: number): Buffer {
  const data = type === A ? Buffer.from(text.split(".").map(Number)) : ipv6(text);
  const fixed = Buffer.alloc(12);
  fixed.writeUInt16BE(0xc00c, 0);
  fixed.writeUInt16BE(type, 2);
  fixed.writeUInt16BE(1, 4);
  fixed.writeUInt32BE(ttl, 6);
  fixed.writeUInt16BE(data.length, 10);
  return Buffer.concat([fixed, data]);
}

function ipv6(text: string): Buffer {
  const [left = "", right = ""] = text.split("::");
  const groups = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const [before, after] = [groups(left), groups(right)];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return Buffer.from([...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff]));
}
