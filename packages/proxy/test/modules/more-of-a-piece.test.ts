import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { BodyChunk, HttpModule, HttpModuleFactory, MaybePromise } from "../../src/index.ts";
import { okResponse, RawOrigin } from "../harness/raw-origin.ts";
import { readResponses } from "../harness/read-responses.ts";
import { post, TestProxy } from "../harness/test-proxy.ts";

/** Doubles each byte, gives `size` bytes at a time of what comes of a piece, and says `.` at the end. */
function doubling(name: string, size: number, mode: "sync" | "async"): HttpModuleFactory {
  const filterOf = () => {
    let rest = "";
    let more = false;
    const step = (chunk: BodyChunk): void => {
      if (more) expect(chunk.data).toBeUndefined();
      rest += (chunk.data?.toString() ?? "").replaceAll(/./g, "$&$&");
      if (chunk.end && !more) rest += ".";
      chunk.data = Buffer.from(rest.slice(0, size));
      rest = rest.slice(size);
      more = rest !== "";
      chunk.more = more;
    };
    return (chunk: BodyChunk): MaybePromise<void> => {
      if (mode === "sync") return step(chunk);
      return new Promise((resolve) => setImmediate(resolve)).then(() => step(chunk));
    };
  };
  return {
    name,
    create(): HttpModule {
      const request = filterOf();
      const response = filterOf();
      return {
        requestBodyFilter: (_session, chunk) => request(chunk),
        responseBodyFilter: (_session, chunk) => response(chunk),
      };
    },
  };
}

/** What one filter makes of a body, and another one of that. */
function twice(body: string): string {
  const once = `${body.replaceAll(/./g, "$&$&")}.`;
  return `${once.replaceAll(/./g, "$&$&")}.`;
}

describe("a filter that has more to give of a piece", () => {
  for (const mode of ["sync", "async"] as const) {
    it(`is asked for it, ${mode}, before others get the next piece, both ways, and one behind another`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.stringMatching(/^[a-z]{0,40}$/), fc.integer({ min: 1, max: 30 }), async (body, size) => {
          let seen = "";
          await using origin = await RawOrigin.answering((request) => {
            seen = request.body;
            return okResponse(body);
          });
          await using proxy = await TestProxy.start(
            {
              upstreamPeer: () => origin.peer(),
              upstreamRequestFilter: (_session, request) => void request.headers.delete("content-length"),
              responseFilter: (_session, response) => void response.headers.delete("content-length"),
            },
            { modules: [doubling("first", size, mode), doubling("second", 2, mode)] },
          );
          const [response] = readResponses(await proxy.exchange(post(body)), "POST");
          // An empty body is none, and no filter sees it.
          if (body !== "") expect(seen).toBe(twice(body));
          expect(response?.body).toBe(twice(body));
        }),
        { numRuns: 25 },
      );
    });
  }
});
