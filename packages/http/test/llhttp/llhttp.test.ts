import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { generateRequests, generateResponse } from "../fuzzing/generate.ts";
import { mutate, randomMutation } from "../fuzzing/mutation.ts";
import { Random } from "../fuzzing/random.ts";
import { bytesOf, splits } from "../transcript.ts";
import { compareRequests, compareResponse } from "./cases.ts";
import { disagreement } from "./comparison.ts";
import { readWithNodeClient } from "./node-client-reading.ts";
import { NodeServerReader } from "./node-server-reading.ts";
import { readRequests, readResponse } from "./our-reading.ts";

const server = new NodeServerReader();
afterAll(() => server.close());

describe("requests", () => {
  it("random and mutated: we and Node's server agree on the framing, and are never the more lenient", async () => {
    const random = new Random(1);
    let accepted = 0;
    for (let i = 0; i < 8_000; i++) {
      if (compareRequests(random, server).accepted) accepted++;
      if (i % 500 === 0) await turn();
    }
    // Else the generator makes nothing but garbage, and agreement means nothing.
    expect(accepted).toBeGreaterThan(2_000);
    expect(accepted).toBeLessThan(6_000);
  });

  it("valid ones are taken, and so is each in two pieces, split at every byte, by both", async () => {
    const random = new Random(2);
    for (let i = 0; i < 40; i++) {
      const bytes = bytesOf(generateRequests(random));
      expect(readRequests([bytes]).refusal).toBeUndefined();
      for (const pieces of splits(bytes)) {
        expect(disagreement(readRequests(pieces), server.read(pieces)), bytes.toString("latin1")).toBeUndefined();
      }
      await turn();
    }
  });

  it("over real sockets, Node's server reads them as it does in memory", async () => {
    const random = new Random(3);
    for (let i = 0; i < 60; i++) {
      let text = generateRequests(random);
      if (i % 2 === 0) text = mutate(text, randomMutation(random));
      const bytes = bytesOf(text);
      const theirs = await server.readFromSocket(bytes);
      expect(disagreement(readRequests([bytes]), theirs), JSON.stringify(text)).toBeUndefined();
      expect(theirs, JSON.stringify(text)).toEqual(server.read([bytes]));
    }
  });
});

describe("responses", () => {
  it("random and mutated: we and Node's client agree on the framing, and are never the more lenient", async () => {
    const random = new Random(4);
    let accepted = 0;
    for (let i = 0; i < 4_000; i++) if ((await compareResponse(random)).accepted) accepted++;
    expect(accepted).toBeGreaterThan(1_000);
    expect(accepted).toBeLessThan(3_000);
  });

  it("valid ones are taken, and so is each in two pieces, split at every byte, by both", async () => {
    const random = new Random(5);
    for (let i = 0; i < 30; i++) {
      const method = random.pick(["GET", "HEAD"]);
      const bytes = bytesOf(generateResponse(random, method));
      expect(readResponse(method, [bytes]).refusal).toBeUndefined();
      for (const pieces of splits(bytes)) {
        const theirs = await readWithNodeClient(method, pieces);
        expect(disagreement(readResponse(method, pieces), theirs), bytes.toString("latin1")).toBeUndefined();
      }
    }
  });

  it("over real sockets, Node's client reads them as it does in memory", async () => {
    const random = new Random(6);
    for (let i = 0; i < 60; i++) {
      let text = generateResponse(random, "GET");
      if (i % 2 === 0) text = mutate(text, randomMutation(random));
      const bytes = bytesOf(text);
      const origin = createServer((socket) => {
        socket.on("error", () => {}); // the client resets once it has what it wanted
        socket.once("data", () => socket.end(bytes));
      }).listen(0, "127.0.0.1");
      await once(origin, "listening");
      const theirs = await readWithNodeClient("GET", () =>
        connect((origin.address() as AddressInfo).port, "127.0.0.1"),
      );
      origin.close();
      expect(disagreement(readResponse("GET", [bytes]), theirs), JSON.stringify(text)).toBeUndefined();
    }
  });
});

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
