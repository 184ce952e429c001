import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { type RequestOptions, request } from "node:https";
import { text } from "node:stream/consumers";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { ask } from "../../test/http2/http2-server.ts";
import { testContext } from "../../test/server/test-context.ts";
import { type PemPair, TestAuthority } from "../../test/wire/test-authority.ts";
import type { TlsSettings } from "../acceptance/tls/tls-settings.ts";
import type { ListeningService } from "../services/listening-service.ts";
import { fetchService } from "./fetch-service.ts";
import type { HttpServer } from "./http-server.ts";
import type { HttpServerOptions } from "./http-server-options.ts";

let authority: TestAuthority;
let site: PemPair;
const services: ListeningService<HttpServer>[] = [];
const clients: ClientHttp2Session[] = [];

beforeAll(async () => {
  authority = await TestAuthority.create();
  site = await authority.issue({ names: ["site.test"] });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  for (const service of services.splice(0)) await service.stop(AbortSignal.abort());
});

describe("HTTP/2 over TLS (LST-21, LST-22)", () => {
  it("is what a client gets that offers it, and HTTP/1.1 one that does not", async () => {
    const port = await started();
    const client = http2Client(port);
    expect(await ask(client, { ":path": "/tea", ":authority": "site.test" })).toMatchObject({
      status: 200,
      text: "2 https://site.test/tea h2",
    });
    expect(client.alpnProtocol).toBe("h2");
    expect(await http1(port)).toBe("1.1 https://site.test/ http/1.1");
  });

  it("carries bodies that stream both ways", async () => {
    const port = await started();
    const body = "tea ".repeat(500_000);
    expect(await ask(http2Client(port), { ":method": "POST" }, body)).toMatchObject({ text: body, code: 0 });
  });

  it("is not offered where it is switched off, or another list is given", async () => {
    for (const [options, tls] of [
      [{ http2: false }, {}],
      [{}, { alpn: ["http/1.1"] }],
    ] as const) {
      const port = await started(options, tls);
      const socket = connectTls({ port, host: "127.0.0.1", ...trust(), ALPNProtocols: ["h2", "http/1.1"] });
      await once(socket, "secureConnect");
      expect(socket.alpnProtocol).toBe("http/1.1");
      socket.destroy();
    }
  });

  it("is offered by what an acceptor's settings leave open, too", async () => {
    const port = await started({}, "acceptor");
    expect(await ask(http2Client(port))).toMatchObject({ status: 200 });
  });

  it("is not begun on TLS by a preface that was not agreed on", async () => {
    const port = await started();
    const socket = connectTls({ port, host: "127.0.0.1", ...trust(), ALPNProtocols: ["http/1.1"] });
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 505 /);
  });

  it("goes away when its service stops, behind what is under way", async () => {
    const port = await started();
    const client = http2Client(port);
    const stream = client.request({ ":method": "POST", ":path": "/" });
    stream.write("one ");
    await once(stream, "response");
    const stopped = services[0]?.stop(new AbortController().signal);
    await once(client, "goaway");
    stream.end("two");
    expect(await text(stream)).toBe("one two");
    await stopped;
  });
});

async function started(options: HttpServerOptions = {}, tls: TlsSettings | "acceptor" = {}): Promise<number> {
  const service = fetchService(
    "test",
    (incoming, session) => {
      if (incoming.method === "POST") return new Response(incoming.body);
      return new Response(`${session.request.version} ${incoming.url} ${session.accepted?.tls?.alpnProtocol}`);
    },
    { server: options },
  );
  services.push(service);
  await service
    .addTls("127.0.0.1:0", tls === "acceptor" ? { settings: () => site } : { ...site, ...tls })
    .start(testContext());
  return Number(service.addresses()[0]?.split(":")[1]);
}

function http2Client(port: number): ClientHttp2Session {
  const client = connect(`https://127.0.0.1:${port}`, trust());
  client.on("error", () => {});
  clients.push(client);
  return client;
}

async function http1(port: number): Promise<string> {
  const options: RequestOptions & ConnectionOptions = {
    ...{ port, host: "127.0.0.1", ...trust(), ALPNProtocols: ["http/1.1"] },
    ...{ headers: { host: "site.test" }, agent: false },
  };
  const [response] = await once(request(options).end(), "response");
  return text(response);
}

function trust(): { readonly ca: string; readonly servername: string } {
  return { ca: authority.cert, servername: "site.test" };
}
