import { generateRequests, generateResponse } from "../fuzzing/generate.ts";
import { mutate, randomMutation } from "../fuzzing/mutation.ts";
import type { Random } from "../fuzzing/random.ts";
import { relayRequests, relayResponses } from "../fuzzing/relay.ts";
import { bytesOf } from "../transcript.ts";
import { disagreement } from "./comparison.ts";
import { readWithNodeClient } from "./node-client-reading.ts";
import type { NodeServerReader } from "./node-server-reading.ts";
import { readRequests, readResponse } from "./our-reading.ts";
import type { Reading } from "./reading.ts";

/** Something that is wrong, with the bytes that show it. */
export class Finding extends Error {
  constructor(what: string, text: string) {
    super(`${what}\nin ${JSON.stringify(text)}`);
  }
}

/** One random case: its text, and whether we took all of it. */
export interface Outcome {
  readonly text: string;
  readonly accepted: boolean;
}

/**
 * Compares one random connection full of requests, changed in none to three places. Throws a `Finding` when we and
 * llhttp disagree, when our reading depends on how the bytes are split, or when what we would send on is not good.
 */
export function compareRequests(random: Random, server: NodeServerReader): Outcome {
  const text = mutated(generateRequests(random), random);
  const bytes = bytesOf(text);
  const pieces = random.oneIn(4) ? bytesAlone(bytes) : [bytes];
  const ours = readRequests([bytes]);
  check(text, ours, server.read(pieces), readRequests(splitSomewhere(bytes, random)));
  for (const relayed of relayRequests(bytes)) {
    const again = server.read([bytesOf(relayed)]);
    checkRelayed(text, relayed, again, readRequests([bytesOf(relayed)]));
  }
  return { text, accepted: ours.refusal === undefined };
}

/** The same for a response. */
export async function compareResponse(random: Random): Promise<Outcome> {
  // Not CONNECT: whatever status answers it, Node's client takes for the beginning of a tunnel.
  const method = random.pick(["GET", "GET", "HEAD", "POST"]);
  const text = mutated(generateResponse(random, method), random);
  const bytes = bytesOf(text);
  const pieces = random.oneIn(4) ? bytesAlone(bytes) : [bytes];
  const ours = readResponse(method, [bytes]);
  check(text, ours, await readWithNodeClient(method, pieces), readResponse(method, splitSomewhere(bytes, random)));
  const relayed = relayResponses(bytes, method).join("");
  if (ours.messages.length > 0 && ours.messages.at(-1)?.complete === true) {
    const again = await readWithNodeClient(method, [bytesOf(relayed)]);
    checkRelayed(text, relayed, again, readResponse(method, [bytesOf(relayed)]));
  }
  return { text, accepted: ours.refusal === undefined };
}

function check(text: string, ours: Reading, theirs: Reading, oursInPieces: Reading): void {
  const different = disagreement(ours, theirs);
  if (different !== undefined) throw new Finding(different, text);
  if (JSON.stringify(ours) !== JSON.stringify(oursInPieces)) {
    throw new Finding(`split bytes read differently: ${JSON.stringify([ours, oursInPieces])}`, text);
  }
}

/** What we send is one message, the same for both readers, and both take it (promise P1). */
function checkRelayed(text: string, relayed: string, theirs: Reading, ours: Reading): void {
  const different = disagreement(ours, theirs);
  if (different !== undefined) throw new Finding(`relayed: ${different}, as ${JSON.stringify(relayed)}`, text);
  if (ours.refusal !== undefined || ours.messages.length !== 1 || ours.messages[0]?.complete !== true) {
    throw new Finding(`relayed as ${JSON.stringify(relayed)}, which we read as ${JSON.stringify(ours)}`, text);
  }
}

function mutated(text: string, random: Random): string {
  let changed = text;
  for (let left = random.below(4); left > 0; left--) changed = mutate(changed, randomMutation(random));
  return changed;
}

function bytesAlone(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
}

function splitSomewhere(bytes: Buffer, random: Random): Buffer[] {
  if (random.oneIn(2) || bytes.length === 0) return bytesAlone(bytes);
  const at = random.below(bytes.length);
  return [bytes.subarray(0, at), bytes.subarray(at)];
}
