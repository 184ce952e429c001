import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConfiguration, HttpPeer, MetricsRegistry, type ServiceContext, singleThread } from "@cirque/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { httpProxyService } from "../src/index.ts";
import { certificate, privateKey } from "./harness/backend-test-certificate.ts";
import { okResponse, RawOrigin, refusingAddress } from "./harness/raw-origin.ts";
import { RawPeer } from "./harness/raw-peer.ts";
import { RecordingLogger } from "./harness/recording-logger.ts";
import { get } from "./harness/test-proxy.ts";

/** Starts the service, asks it once for each target, and stops it. */
async function ask(
  service: ReturnType<typeof httpProxyService<void>>,
  targets: readonly string[],
): Promise<{ readonly responses: readonly string[]; readonly exposition: string; readonly logger: RecordingLogger }> {
  const logger = new RecordingLogger();
  const context: ServiceContext = {
    logger,
    metrics: new MetricsRegistry(),
    configuration: createConfiguration(),
    thread: singleThread(),
    shutdown: new AbortController().signal,
  };
  service.addTcp("127.0.0.1:0");
  await service.start(context);
  try {
    const responses: string[] = [];
    for (const target of targets) {
      using client = await RawPeer.connect(Number(service.addresses()[0]?.split(":").at(-1)));
      responses.push((await client.send(get(target)).whenClosed()).text);
    }
    return { responses, exposition: await context.metrics.exposition(), logger };
  } finally {
    await service.stop(new AbortController().signal);
  }
}

test("a service answers at its addresses, under its name, and stops", async () => {
  await using origin = await RawOrigin.answering(okResponse("hello"));
  const service = httpProxyService(createConfiguration(), { upstreamPeer: () => origin.peer() }, { name: "shop" });

  const { responses, exposition } = await ask(service, ["/"]);

  expect(service.name).toBe("shop");
  expect(responses[0]).toMatch(/\r\n\r\nhello$/);
  expect(exposition).toContain('cirque_requests_total{service="shop",status="2xx"} 1');
  expect(httpProxyService(createConfiguration(), { upstreamPeer: () => origin.peer() }).name).toBe("HTTP proxy");
});

for (const maxRetries of [1, 4]) {
  test(`maxRetries ${maxRetries} is how often a request is tried in all`, async () => {
    const address = await refusingAddress();
    let asked = 0;
    const upstreamPeer = (): HttpPeer => {
      asked++;
      return new HttpPeer(address);
    };

    const { responses } = await ask(httpProxyService(createConfiguration({ maxRetries }), { upstreamPeer }), ["/"]);

    expect(responses[0]).toMatch(/^HTTP\/1\.1 502 /);
    expect(asked).toBe(maxRetries);
  });
}

test("upstreamKeepalivePoolSize is how many idle connections are kept for an origin", async () => {
  for (const [upstreamKeepalivePoolSize, connections] of [
    [0, 2],
    [1, 1],
  ] as const) {
    await using origin = await RawOrigin.answering(okResponse("hello"));
    const configuration = createConfiguration({ upstreamKeepalivePoolSize });

    await ask(httpProxyService(configuration, { upstreamPeer: () => origin.peer() }), ["/1", "/2"]);

    expect(origin.connections.length).toBe(connections);
  }
});

test("clientBindToIpv4 is where connections come from; an option wins over the configuration", async () => {
  await using origin = await RawOrigin.answering(okResponse("hello"));
  const configuration = createConfiguration({ clientBindToIpv4: ["127.0.0.2"] });
  const from: (string | undefined)[] = [];
  const callbacks = {
    upstreamPeer: () => origin.peer(),
    connectedToUpstream: (session: { readonly upstream: { readonly localAddress: string } | undefined }) => {
      from.push(session.upstream?.localAddress.split(":")[0]);
    },
  };

  await ask(httpProxyService(configuration, callbacks), ["/"]);
  await ask(httpProxyService(configuration, callbacks, { connector: { bindToIpv4: ["127.0.0.3"] } }), ["/"]);

  expect(from).toEqual(["127.0.0.2", "127.0.0.3"]);
});

test("caFile: one that cannot be read is an error that names file and key", () => {
  const caFile = join(tmpdir(), "cirque-no-such-file.pem");

  expect(() => httpProxyService(createConfiguration({ caFile }), { upstreamPeer: () => new Response() })).toThrow(
    expect.objectContaining({ code: "FileReadError", message: expect.stringMatching(/no-such-file\.pem.*caFile/) }),
  );
});

describe("caFile", () => {
  let directory: string;
  let caFile: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "cirque-roots-"));
    caFile = join(directory, "roots.pem");
  });
  afterAll(() => rm(directory, { recursive: true }));

  test("one that holds no certificate is an error that names file and key", async () => {
    for (const content of ["", "no certificate", privateKey, certificate.replace("MIIB", "MIIC")]) {
      await writeFile(caFile, content);

      expect(() => httpProxyService(createConfiguration({ caFile }), { upstreamPeer: () => new Response() })).toThrow(
        expect.objectContaining({ code: "InvalidCert", message: expect.stringMatching(/roots\.pem.*caFile.*PEM/) }),
      );
    }
  });

  test("its roots are those that an origin is verified by, unless an option says otherwise", async () => {
    await writeFile(caFile, certificate);
    const server = createServer({ cert: certificate, key: privateKey }, (_request, response) => {
      response.end("over TLS");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo; // it listens on a port
    const callbacks = { upstreamPeer: () => new HttpPeer(`127.0.0.1:${port}`, { tls: true, sni: "backend.test" }) };
    try {
      const trusting = await ask(httpProxyService(createConfiguration({ caFile }), callbacks), ["/"]);
      const builtIn = await ask(httpProxyService(createConfiguration(), callbacks), ["/"]);

      expect(trusting.responses[0]).toMatch(/over TLS/);
      expect(builtIn.responses[0]).toMatch(/^HTTP\/1\.1 502 /);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
