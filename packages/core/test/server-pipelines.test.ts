import { ResponseHead } from "@cirque/http";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { ServerSession } from "../src/session/server-session.ts";
import { readResponses } from "./wire/read-responses.ts";
import { TestServer } from "./wire/test-server.ts";

/** What one request is, and how its handler behaves. */
interface Step {
  readonly body: number;
  readonly chunked: boolean;
  /** Whether the handler reads the body: not at all, at once, or with a pause behind each piece. */
  readonly reading: "ignore" | "read" | "pause";
  /** Whether the response waits for the body, and for a turn of the loop. */
  readonly early: boolean;
  readonly late: boolean;
  /** How long the response is, and whether that is declared. */
  readonly response: number;
  readonly sized: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  body: fc.oneof(fc.constant(0), fc.nat(20), fc.nat(100_000)),
  chunked: fc.boolean(),
  reading: fc.constantFrom("ignore", "read", "pause"),
  early: fc.boolean(),
  late: fc.boolean(),
  response: fc.oneof(fc.nat(20), fc.nat(200_000)),
  sized: fc.boolean(),
});

it("whatever is pipelined, however it is split and handled, each request gets its own response, in order", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat(70_000), { maxLength: 8 }),
      async (steps, cuts) => {
        await using server = await TestServer.start((session) => handle(session, steps), { drainBytes: 1_000_000 });
        const client = await server.client();
        const bytes = steps.map(requestOf).join("");
        let sent = 0;
        for (const cut of cuts) {
          await client.sendNow(bytes.slice(sent, sent + cut));
          sent += cut;
          await new Promise(setImmediate);
        }
        client.send(bytes.slice(sent));
        const responses = readResponses((await client.whenClosed()).text);
        expect(responses.map(({ headers, body }) => [headers.get("x-index"), body.length])).toEqual(
          steps.map(({ response }, index) => [String(index), response]),
        );
        for (const [index, { body }] of responses.entries()) expect(body).toBe(responseBody(index, body.length));
        expect(server.refusals.items).toEqual([]);
        expect(server.aborts.items).toEqual([]);
      },
    ),
    { numRuns: Number(process.env.RUNS ?? 60) },
  );
});

function requestOf({ body, chunked }: Step, index: number, steps: readonly Step[]): string {
  const close = index === steps.length - 1 ? "Connection: close\r\n" : "";
  const head = `POST /${index} HTTP/1.1\r\nHost: a\r\n${close}`;
  const bytes = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(Math.ceil(body / 26)).slice(0, body);
  if (!chunked) return `${head}Content-Length: ${body}\r\n\r\n${bytes}`;
  const pieces = bytes.match(/[\s\S]{1,5000}/g) ?? [];
  const chunks = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join("");
  return `${head}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`;
}

function responseBody(index: number, length: number): string {
  return `HTTP/1.1 200 OK ${index} `.repeat(Math.ceil(length / 16)).slice(0, length);
}

function handle(session: ServerSession, steps: readonly Step[]): void {
  const index = Number(session.request.target.slice(1));
  const step = steps[index];
  if (step === undefined) throw new Error("a request that was not sent");
  let received = 0;
  const respond = (): void => {
    const body = Buffer.from(responseBody(index, step.response));
    const length = step.sized ? { "content-length": String(body.length) } : {};
    session.writeHead(new ResponseHead(200, { "x-index": String(index), ...length }), false);
    session.write(body);
    session.end();
  };
  const answer = (): void => {
    if (step.late) setImmediate(respond);
    else respond();
  };
  if (step.early || step.reading === "ignore") answer();
  if (step.reading === "ignore") return;
  session.readBody({
    onData(chunk) {
      received += chunk.length;
      if (step.reading !== "pause") return;
      session.pauseBody();
      setImmediate(() => session.resumeBody());
    },
    onEnd() {
      if (step.early) return;
      expect(received).toBe(step.body);
      answer();
    },
    onError(error) {
      throw error;
    },
  });
}
