import type { HttpProxyOptions, ProxyHttp } from "../../src/index.ts";
import { okResponse, RawOrigin, type ReadRequest } from "../harness/raw-origin.ts";
import { type ReadResponse, readResponses } from "../harness/read-responses.ts";
import { TestProxy } from "../harness/test-proxy.ts";

/** What an origin saw of a request, if it was asked, and what the client got. */
export interface Outcome {
  readonly response: ReadResponse;
  readonly seen: ReadRequest | undefined;
}

/** Settings of {@link through}. */
export interface Way {
  readonly modules: HttpProxyOptions["modules"];
  /** What the origin answers. Default: 200 with `ok`. */
  readonly answer?: string | ((request: ReadRequest) => string);
  readonly callbacks?: Partial<ProxyHttp>;
}

/** Sends one request, which closes its connection, through a proxy with modules to an origin. */
export async function through(
  request: string,
  { modules, answer = okResponse("ok"), callbacks }: Way,
): Promise<Outcome> {
  let seen: ReadRequest | undefined;
  await using origin = await RawOrigin.answering((read) => {
    seen = read;
    return typeof answer === "string" ? answer : answer(read);
  });
  await using proxy = await TestProxy.start(
    { upstreamPeer: () => origin.peer(), ...callbacks },
    modules === undefined ? {} : { modules },
  );
  const method = request.slice(0, request.indexOf(" "));
  const [response] = readResponses(await proxy.exchange(request), method);
  if (response === undefined) throw new Error("no response");
  return { response, seen };
}

/** A request without body. */
export function ask(target = "/", lines = "", method = "GET"): string {
  return `${method} ${target} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n${lines}\r\n`;
}
