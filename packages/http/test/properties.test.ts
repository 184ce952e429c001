import {
  CHUNKED,
  chunkSizeLine,
  HeaderMap,
  lastChunk,
  type RequestHead,
  ResponseHead,
  serializeRequestHead,
  serializeResponseHead,
} from "@cirque/http";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  arbitraryBody,
  arbitraryHeaders,
  arbitraryMutations,
  arbitraryRequest,
  arbitraryResponse,
  type Body,
} from "./fuzzing/arbitrary-message.ts";
import { generateRequests, generateResponse } from "./fuzzing/generate.ts";
import { mutate } from "./fuzzing/mutation.ts";
import { Random } from "./fuzzing/random.ts";
import { relayRequests, relayResponses } from "./fuzzing/relay.ts";
import { bytesOf, FEEDINGS, type Reading, type Step, transcript } from "./transcript.ts";

// The same cases each time, so that a failure is one of the change at hand. `npm run fuzz` looks for new ones.
fc.configureGlobal({ seed: 1 });

const requests: Reading = { role: "requests" };
const responses: Reading = { role: "responses" };

/** The field line that announces the body, and the body as sent. */
function framed(body: Body): [framing: string, sent: string] {
  switch (body.kind) {
    case "none":
      return ["Content-Length: 0\r\n", ""];
    case "sized":
      return [`Content-Length: ${body.data.length}\r\n`, body.data];
    case "chunked": {
      const chunks = body.chunks.map((chunk) => `${chunkSizeLine(chunk.length)}${chunk}\r\n`);
      return ["Transfer-Encoding: chunked\r\n", `${chunks.join("")}${lastChunk(body.trailers)}`];
    }
  }
}

/** What a parser has to find behind the head. */
function stepsOf(body: Body): Step[] {
  const data = body.kind === "none" ? "" : body.kind === "sized" ? body.data : body.chunks.join("");
  const end = { end: body.kind === "chunked" ? [...body.trailers].filter(([name]) => isSent(name)) : [] };
  return data === "" ? [end] : [{ data }, end];
}

/** Whether a random name may stand in trailers: it is hardly ever one that may not. */
function isSent(name: string): boolean {
  return lastChunk(new HeaderMap([[name, ""]])) !== "0\r\n\r\n";
}

function lengthOf(body: Body): number {
  return body.kind === "chunked" ? CHUNKED : body.kind === "sized" ? body.data.length : 0;
}

/** Bytes of the text, cut at the places given. */
function cut(text: string, places: readonly number[]): Buffer[] {
  const bytes = bytesOf(text);
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, i) => bytes.subarray(start, at[i] ?? bytes.length));
}

const places = fc.array(fc.nat(5_000), { maxLength: 6 });

describe("what we write, we read (promise P1)", () => {
  it("requests, one after another, split anywhere", () => {
    const request = fc.tuple(arbitraryRequest, arbitraryBody);
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 3 }), places, (messages, at) => {
        let text = "";
        const expected: Step[] = [];
        for (const [head, body] of messages) {
          const [framing, sent] = framed(body);
          text += serializeRequestHead(head, framing) + sent;
          expected.push(requestStep(head, framing, body), ...stepsOf(body));
        }
        expect(transcript(requests, cut(text, at))).toEqual(expected);
      }),
      { numRuns: 400 },
    );
  });

  it("responses, split anywhere", () => {
    fc.assert(
      fc.property(arbitraryResponse, arbitraryBody, places, (head, body, at) => {
        const [framing, sent] = framed(body);
        const text = serializeResponseHead(head, framing) + sent;
        expect(transcript(responses, cut(text, at))).toEqual([responseStep(head, framing, body), ...stepsOf(body)]);
      }),
      { numRuns: 400 },
    );
  });

  it("whatever fields code puts into a message, they frame nothing and add none", () => {
    const anything = fc.string({ unit: "binary", maxLength: 12 });
    fc.assert(
      fc.property(fc.array(fc.tuple(anything, anything), { maxLength: 6 }), (fields) => {
        const headers = new HeaderMap();
        let taken = 0;
        for (const [name, text] of fields) {
          try {
            headers.append(name, text);
            taken++;
          } catch (error) {
            expect(error).toBeInstanceOf(TypeError);
          }
        }
        const text = serializeResponseHead(new ResponseHead(204, headers));
        const [head, end] = transcript(responses, [bytesOf(text)]);
        expect(head).toHaveProperty("fields", [...headers]);
        expect(end).toEqual({ end: [] });
        expect(headers.size).toBe(taken);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("mutated messages", () => {
  const mutated = fc.tuple(fc.nat(), arbitraryMutations);

  it("are read or refused by name, and the same however the bytes are split", () => {
    fc.assert(
      fc.property(
        mutated,
        fc.boolean(),
        places,
        fc.constantFrom(...FEEDINGS),
        ([seed, mutations], client, at, feeding) => {
          const random = new Random(seed);
          const start = client ? generateRequests(random) : generateResponse(random, "GET");
          const text = mutations.reduce(mutate, start);
          const reading = client ? requests : responses;
          const whole = transcript(reading, [bytesOf(text)]);
          expect(transcript(reading, cut(text, at), feeding)).toEqual(whole);
          expect(
            transcript(
              reading,
              Array.from(bytesOf(text), (code) => Buffer.from([code])),
            ),
          ).toEqual(whole);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("give the relay nothing to send but whole, strict messages", () => {
    fc.assert(
      fc.property(mutated, fc.boolean(), ([seed, mutations], client) => {
        const random = new Random(seed);
        const start = client ? generateRequests(random) : generateResponse(random, "GET");
        const bytes = bytesOf(mutations.reduce(mutate, start));
        for (const sent of client ? relayRequests(bytes) : relayResponses(bytes, "GET")) {
          const steps = transcript(client ? requests : responses, [bytesOf(sent)]);
          expect(steps.filter((step) => "head" in step)).toHaveLength(1);
          expect(steps.at(-1)).toHaveProperty("end");
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("random bytes are refused or waited for", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), places, (bytes, at) => {
        const text = Buffer.from(bytes).toString("latin1");
        for (const reading of [requests, responses]) {
          expect(transcript(reading, cut(text, at))).toEqual(transcript(reading, [bytesOf(text)]));
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe("the header map", () => {
  it("behaves as a list of pairs", () => {
    const name = fc.constantFrom("a", "A", "b", "Content-Type", "content-type");
    const change = fc.record({
      kind: fc.constantFrom("append", "set", "delete"),
      name,
      value: fc.stringMatching(/^[a-z]{0,3}$/),
    });
    fc.assert(
      fc.property(arbitraryHeaders, fc.array(change, { maxLength: 12 }), (headers, changes) => {
        let model = [...headers].map(([each, text]): [string, string] => [each.toLowerCase(), text]);
        for (const { kind, name: changed, value } of changes) {
          const lower = changed.toLowerCase();
          const first = model.findIndex(([each]) => each === lower);
          if (kind === "delete") {
            headers.delete(changed);
            model = model.filter(([each]) => each !== lower);
          } else if (kind === "append" || first === -1) {
            if (kind === "append") headers.append(changed, value);
            else headers.set(changed, value);
            model.push([lower, value]);
          } else {
            headers.set(changed, value);
            model = model.filter(([each], i) => each !== lower || i === first);
            model[first] = [lower, value];
          }
        }
        expect([...headers].map(([each, text]) => [each.toLowerCase(), text])).toEqual(model);
        for (const [each] of model) {
          expect(headers.getAll(each)).toEqual(model.filter(([other]) => other === each).map(([, text]) => text));
        }
      }),
      { numRuns: 500 },
    );
  });
});

function requestStep(head: RequestHead, framing: string, body: Body): Step {
  return {
    head: [head.method, head.target, "1.1"],
    bodyLength: lengthOf(body),
    fields: [...head.headers, pair(framing)],
  };
}

function responseStep(head: ResponseHead, framing: string, body: Body): Step {
  return {
    head: ["1.1", `${head.status}`, head.reason],
    bodyLength: lengthOf(body),
    fields: [...head.headers, pair(framing)],
  };
}

function pair(line: string): [name: string, value: string] {
  const colon = line.indexOf(": ");
  return [line.slice(0, colon), line.slice(colon + 2, -2)];
}
