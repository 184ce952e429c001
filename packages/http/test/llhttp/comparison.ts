import type { Message, Reading } from "./reading.ts";

/** Something that we take and llhttp does not, on purpose. */
export interface DeliberateDifference {
  readonly name: string;
  /** Why it is no danger. */
  readonly because: string;
  /** Whether it explains why llhttp went no further than it did. */
  readonly explains: (ours: Reading, theirs: Reading) => boolean;
}

export const DELIBERATE_DIFFERENCES: readonly DeliberateDifference[] = [
  {
    name: "extension methods",
    because:
      "llhttp knows a closed list. Any other upper-case token is a method too (RFC 9110, 16.1), and how a message is " +
      "framed does not depend on it: every method but CONNECT is read alike.",
    explains: (ours, theirs) =>
      theirs.refusal === "HPE_INVALID_METHOD" && /^[A-Z][A-Z0-9_-]* /.test(next(ours, theirs)),
  },
  {
    name: "bytes above 0x7f in a target",
    because:
      "Some clients leave them unescaped, and a target that is not UTF-8 passes byte for byte (HDR-04). No such byte ends " +
      "a target early for any reader.",
    explains: (ours, theirs) =>
      theirs.refusal === "HPE_INVALID_URL" && /^\S+ [^ ]*[\x80-\xff]/.test(next(ours, theirs)),
  },
  {
    name: "framing fields in trailers",
    because: "llhttp refuses the message. We drop the field, and read no framing from a trailer section.",
    explains: (ours, theirs) =>
      /^HPE_\w+_(CONTENT_LENGTH|TRANSFER_ENCODING)$/.test(theirs.refusal ?? "") &&
      theirs.messages.at(-1)?.complete === false &&
      ours.messages[theirs.messages.length - 1]?.fields.some((text) => /^chunked$/i.test(text)) === true,
  },
  {
    name: "requests behind one that asks for an upgrade",
    because:
      "Node's server leaves what came in the same packet unread. Here it waits until the upgrade is accepted or not: it " +
      "is the session that decides.",
    explains: (_, theirs) =>
      theirs.refusal === undefined && theirs.messages.at(-1)?.fields.some((text) => /upgrade/i.test(text)) === true,
  },
  {
    name: "messages behind a close",
    because:
      "llhttp refuses bytes behind a message with Connection: close. Whether to go on is the connection's business, " +
      "not the codec's: a session that closes does not ask for the next message.",
    explains: (_, theirs) => theirs.refusal === "HPE_CLOSED_CONNECTION",
  },
];

/** The first line of the first message that llhttp does not have. */
function next(ours: Reading, theirs: Reading): string {
  return ours.messages[theirs.messages.length]?.start ?? "";
}

/**
 * How the two disagree: about what both accept, or because we accept more. Undefined when they agree, or when we are
 * the stricter one.
 */
export function disagreement(ours: Reading, theirs: Reading): string | undefined {
  const both = Math.min(ours.messages.length, theirs.messages.length);
  for (let i = 0; i < both; i++) {
    const difference = differenceOf(ours.messages[i] as Message, theirs.messages[i] as Message, ours, theirs);
    if (difference !== undefined) return `message ${i}: ${difference}`;
  }
  if (ours.messages.length > theirs.messages.length && !explained(ours, theirs)) {
    return `we accept the head of message ${both}, llhttp does not: ${theirs.refusal ?? "it waits"}`;
  }
  if (theirs.messages.length > ours.messages.length && ours.refusal === undefined) {
    return `llhttp has ${theirs.messages.length} messages, we have ${ours.messages.length} and no refusal`;
  }
  return undefined;
}

function differenceOf(our: Message, their: Message, ours: Reading, theirs: Reading): string | undefined {
  if (our.start !== their.start) return `${JSON.stringify(our.start)} is not ${JSON.stringify(their.start)}`;
  if (!equal(our.fields, their.fields)) return `fields ${JSON.stringify([our.fields, their.fields])}`;
  if (our.complete && !their.complete) {
    return explained(ours, theirs) ? undefined : `complete for us only: ${theirs.refusal ?? "it waits"}`;
  }
  if (their.complete && !our.complete) {
    return ours.refusal === undefined ? "complete for llhttp only, and we have no refusal" : undefined;
  }
  if (!our.complete) return undefined;
  if (our.body !== their.body) return `body ${JSON.stringify([our.body, their.body])}`;
  // Trailers that may not be sent are dropped by us and kept by llhttp, so ours have to be among theirs, in order.
  return isPartOf(our.trailers, their.trailers)
    ? undefined
    : `trailers ${JSON.stringify([our.trailers, their.trailers])}`;
}

function explained(ours: Reading, theirs: Reading): boolean {
  return DELIBERATE_DIFFERENCES.some((each) => each.explains(ours, theirs));
}

function equal(first: readonly string[], second: readonly string[]): boolean {
  return first.length === second.length && first.every((text, i) => text === second[i]);
}

function isPartOf(part: readonly string[], whole: readonly string[]): boolean {
  let at = 0;
  for (let i = 0; i < part.length; i += 2) {
    while (at < whole.length && (whole[at] !== part[i] || whole[at + 1] !== part[i + 1])) at += 2;
    if (at >= whole.length) return false;
    at += 2;
  }
  return true;
}
