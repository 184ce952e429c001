import { createConfiguration, MetricsRegistry, type ServerConfiguration, singleThread } from "@cirque/core";
import { expect, test } from "vitest";
import { httpProxyService } from "../src/index.ts";
import { okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { RawPeer } from "./harness/raw-peer.ts";
import { RecordingLogger } from "./harness/recording-logger.ts";
import { get } from "./harness/test-proxy.ts";

test("new settings hold from the next request on, on connections that stay; refused ones change nothing", async () => {
  await using origin = await RawOrigin.answering(okResponse("hello"));
  const from: (string | undefined)[] = [];
  const service = httpProxyService(createConfiguration({ clientBindToIpv4: ["127.0.0.2"] }), {
    upstreamPeer: () => origin.peer(),
    connectedToUpstream: (session) => {
      from.push(session.upstream?.localAddress.split(":")[0]);
    },
  });
  service.addTcp("127.0.0.1:0");
  await service.start({
    logger: new RecordingLogger(),
    metrics: new MetricsRegistry(),
    configuration: createConfiguration(),
    thread: singleThread(),
    shutdown: new AbortController().signal,
  });
  try {
    using client = await RawPeer.connect(Number(service.addresses()[0]?.split(":").at(-1)));
    let asked = 0;
    const ask = async (): Promise<void> => {
      await client.send(get("/", "")).responses(++asked);
    };
    await ask();
    const reload = async (settings: ServerConfiguration): Promise<void> => (await service.reload(settings))?.();
    await expect(async () => reload(createConfiguration({ caFile: "/no/such/file.pem" }))).rejects.toMatchObject({
      code: "FileReadError",
    });
    await ask();
    await reload(createConfiguration({ clientBindToIpv4: ["127.0.0.3"] }));
    await ask();
    expect(from).toEqual(["127.0.0.2", "127.0.0.2", "127.0.0.3"]);
  } finally {
    await service.stop(AbortSignal.abort());
  }
});
