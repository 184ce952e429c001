import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  type Packet,
  type Question,
  TRUNCATED_RESPONSE,
} from "dns-packet";

/**
 * The answer to a question, or `undefined` when it cannot be read.
 *
 * - any name in `demo`: the address 192.0.2.1 (RFC 5737), good for no time, so that every question is asked
 * - `who.demo`, as TXT: the name of the resolver
 * - `long.demo`, as TXT: more than a datagram holds
 * - all other names do not exist
 *
 * @param maxBytes What is longer is cut, and says so: then it is asked again over TCP.
 */
export function answerTo(message: Buffer, resolver: string, maxBytes = 65_535): Buffer | undefined {
  const asked = read(message);
  const [question] = asked?.questions ?? [];
  if (asked === undefined || question === undefined) return undefined;
  const known = /(^|\.)demo$/i.test(question.name);
  const answer: Packet = {
    type: "response",
    id: asked.id ?? 0,
    flags: AUTHORITATIVE_ANSWER | (known ? 0 : NAME_ERROR),
    questions: [question],
    answers: known ? recordsFor(question, resolver) : [],
  };
  const bytes = encode(answer);
  if (bytes.length <= maxBytes) return bytes;
  return encode({ ...answer, flags: (answer.flags ?? 0) | TRUNCATED_RESPONSE, answers: [] });
}

/** The code of RFC 1035, 4.1.1, for a name that does not exist. */
const NAME_ERROR = 3;

function recordsFor({ name, type }: Question, resolver: string): Answer[] {
  if (type === "A") return [{ type, name, ttl: 0, data: "192.0.2.1" }];
  if (type !== "TXT") return [];
  if (name.toLowerCase() === "who.demo") return [{ type, name, ttl: 0, data: `resolver ${resolver}` }];
  if (name.toLowerCase() !== "long.demo") return [];
  return Array.from({ length: 20 }, (_unused, index) => ({ type, name, ttl: 0, data: `${index} `.padEnd(100, "-") }));
}

function read(message: Buffer): Packet | undefined {
  try {
    return decode(message);
  } catch {
    return undefined;
  }
}
