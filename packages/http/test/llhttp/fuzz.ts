// Compares our codec with llhttp on many random messages: `npm run fuzz -- --mutations 1000000 --seed 1`.
import { parseArgs } from "node:util";
import { Random } from "../fuzzing/random.ts";
import { compareRequests, compareResponse } from "./cases.ts";
import { NodeServerReader } from "./node-server-reading.ts";

const { values } = parseArgs({
  options: {
    mutations: { type: "string", default: "1000000" },
    seed: { type: "string", default: `${Date.now() % 2 ** 32}` },
  },
});
const mutations = wholeNumber("mutations", values.mutations);
const seed = wholeNumber("seed", values.seed);
console.log(`${mutations} random messages from seed ${seed}`);

const random = new Random(seed);
const server = new NodeServerReader();
let accepted = 0;
try {
  for (let done = 1; done <= mutations; done++) {
    const outcome = done % 2 === 0 ? compareRequests(random, server) : await compareResponse(random);
    if (outcome.accepted) accepted++;
    // Lets go of the connections that are finished.
    if (done % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    if (done % 100_000 === 0) console.log(`${done} compared, ${accepted} of them taken by us`);
  }
  console.log("No disagreement.");
} finally {
  server.close();
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new TypeError(`--${name} takes a whole number, not ${JSON.stringify(text)}`);
  return Number(text);
}
