import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { HttpPeer } from "@cirque/core";
import {
  type Client,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TestProxy } from "./harness/test-proxy.ts";

const bytes = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
const definition: ServiceDefinition = {
  unary: { path: "/test.Echo/Unary", requestStream: false, responseStream: false, ...bytes },
  upload: { path: "/test.Echo/Upload", requestStream: true, responseStream: false, ...bytes },
  download: { path: "/test.Echo/Download", requestStream: false, responseStream: true, ...bytes },
  chat: { path: "/test.Echo/Chat", requestStream: true, responseStream: true, ...bytes },
};
const EchoClient = makeGenericClientConstructor(definition, "Echo");

let server: Server;
let proxy: TestProxy<void>;
let client: Client;
let peer: HttpPeer;
let cancelled = Promise.withResolvers<void>();

beforeAll(async () => {
  server = new Server({ "grpc.max_receive_message_length": 8 * 1024 * 1024 });
  server.addService(definition, {
    unary(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) {
      const text = call.request.toString();
      if (text === "fail") {
        const metadata = new Metadata();
        metadata.set("x-why", "because");
        answer({ code: status.FAILED_PRECONDITION, details: "no tea", metadata });
        return;
      }
      if (text === "never") {
        call.on("cancelled", () => cancelled.resolve());
        return;
      }
      call.sendMetadata(call.metadata);
      answer(null, call.request);
    },
    upload(call: ServerReadableStream<Buffer, Buffer>, answer: sendUnaryData<Buffer>) {
      let length = 0;
      call.on("data", (piece: Buffer) => {
        length += piece.length;
      });
      call.on("end", () => answer(null, Buffer.from(String(length))));
    },
    download(call: ServerWritableStream<Buffer, Buffer>) {
      const count = Number(call.request.toString());
      for (let i = 0; i < count; i++) call.write(Buffer.from(`piece ${i}`));
      call.end();
    },
    chat(call: ServerDuplexStream<Buffer, Buffer>) {
      call.on("data", (piece: Buffer) => call.write(piece));
      call.on("end", () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  peer = new HttpPeer(`127.0.0.1:${port}`, { http: "2" });
  // One client opens a thousand streams on one connection.
  const options = { server: { http2: { maxConcurrentStreams: 1_000 } } };
  proxy = await TestProxy.start({ upstreamPeer: () => peer }, options);
  client = new EchoClient(`127.0.0.1:${proxy.port}`, credentials.createInsecure(), {
    "grpc.max_receive_message_length": 8 * 1024 * 1024,
  });
});

afterAll(async () => {
  client.close();
  server.forceShutdown();
  await proxy[Symbol.asyncDispose]();
});

describe("gRPC through the proxy, with @grpc/grpc-js on both ends", () => {
  test("a unary call, its metadata both ways", async () => {
    const metadata = new Metadata();
    metadata.set("x-cup", "large");
    const { answer, initial } = await unary("tea", metadata);
    expect(answer).toBe("tea");
    expect(initial.get("x-cup")).toEqual(["large"]);
  });

  test("client streaming", async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      const call = client.makeClientStreamRequest("/test.Echo/Upload", same, same, (error, value) =>
        error ? reject(error) : resolve(String(value)),
      );
      for (let i = 0; i < 100; i++) call.write(Buffer.alloc(1_000));
      call.end();
    });
    expect(answer).toBe("100000");
  });

  test("server streaming", async () => {
    const call = client.makeServerStreamRequest("/test.Echo/Download", same, same, Buffer.from("200"));
    const pieces: string[] = [];
    for await (const piece of call) pieces.push(String(piece));
    expect(pieces).toHaveLength(200);
    expect(pieces.at(-1)).toBe("piece 199");
  });

  test("both streaming, turn by turn", async () => {
    const call = client.makeBidiStreamRequest("/test.Echo/Chat", same, same);
    const answers = call[Symbol.asyncIterator]();
    for (let i = 0; i < 20; i++) {
      call.write(Buffer.from(`turn ${i}`));
      expect(String((await answers.next()).value)).toBe(`turn ${i}`);
    }
    call.end();
    expect((await answers.next()).done).toBe(true);
  });

  test("an error comes as trailers only, with its code, details and metadata", async () => {
    await expect(unary("fail")).rejects.toMatchObject({ code: status.FAILED_PRECONDITION, details: "no tea" });
    const error = await unary("fail").catch((caught: { metadata: Metadata }) => caught);
    expect((error as { metadata: Metadata }).metadata.get("x-why")).toEqual(["because"]);
  });

  test("a method that does not exist is UNIMPLEMENTED", async () => {
    const call = new Promise((_resolve, reject) => {
      client.makeUnaryRequest("/test.Echo/None", same, same, Buffer.from("x"), (error) => reject(error));
    });
    await expect(call).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
  });

  test("a deadline and a cancellation reach the server", async () => {
    cancelled = Promise.withResolvers();
    await expect(unary("never", new Metadata(), 50)).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    await cancelled.promise;

    cancelled = Promise.withResolvers();
    const ended = new Promise<unknown>((resolve) => {
      const call = client.makeUnaryRequest("/test.Echo/Unary", same, same, Buffer.from("never"), resolve);
      setTimeout(() => call.cancel(), 30);
    });
    expect(await ended).toMatchObject({ code: status.CANCELLED });
    await cancelled.promise;
  });

  test("messages of 4 MB", async () => {
    const message = "x".repeat(4_000_000);
    expect((await unary(message)).answer).toBe(message);
  });

  test("1,000 calls at once", async () => {
    const answers = await Promise.all(Array.from({ length: 1_000 }, (_, i) => unary(`call ${i}`)));
    expect(answers.map(({ answer }) => answer)).toEqual(Array.from({ length: 1_000 }, (_, i) => `call ${i}`));
  });

  test("1,000 streams at once, each with something under way", async () => {
    const calls = Array.from({ length: 1_000 }, () => client.makeBidiStreamRequest("/test.Echo/Chat", same, same));
    const answers = calls.map((call) => call[Symbol.asyncIterator]());
    for (const [i, call] of calls.entries()) call.write(Buffer.from(`stream ${i}`));
    const first = await Promise.all(answers.map((answer) => answer.next()));
    expect(first.map(({ value }) => String(value))).toEqual(calls.map((_, i) => `stream ${i}`));
    for (const call of calls) call.end();
    expect((await Promise.all(answers.map((answer) => answer.next()))).every(({ done }) => done)).toBe(true);
  });
});

describe("docs/guide/grpc.md", () => {
  test("has a gateway that passes calls on, and refuses as gRPC does", async () => {
    const file = join(import.meta.dirname, "../examples/grpc-gateway.ts");
    const page = await readFile(join(import.meta.dirname, "../../../docs/guide/grpc.md"), "utf8");
    expect(/```ts\n(.*?)```/s.exec(page)?.[1]).toBe(await readFile(file, "utf8"));

    const program = spawn(process.execPath, ["--conditions=@cirque/source", file], {
      env: { ...process.env, ORIGIN: peer.address, LISTEN: "127.0.0.1:0" },
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      let output = "";
      program.stdout.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
      while (!/listening on .*:(\d+)/.test(output)) await once(program.stdout, "data");
      const address = `127.0.0.1:${/listening on .*:(\d+)/.exec(output)?.[1]}`;
      const other = new EchoClient(address, credentials.createInsecure());
      const metadata = new Metadata();
      metadata.set("authorization", "token");
      expect((await unary("tea", metadata, undefined, other)).answer).toBe("tea");
      const refused = unary("tea", new Metadata(), undefined, other);
      await expect(refused).rejects.toMatchObject({ code: status.UNAUTHENTICATED, details: "a token, please" });
      other.close();
    } finally {
      program.kill("SIGKILL");
      await once(program, "close");
    }
  });
});

function unary(
  text: string,
  metadata = new Metadata(),
  deadlineMs?: number,
  through: Client = client,
): Promise<{ readonly answer: string; readonly initial: Metadata }> {
  return new Promise((resolve, reject) => {
    let initial = new Metadata();
    const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
    const call = through.makeUnaryRequest(
      "/test.Echo/Unary",
      same,
      same,
      Buffer.from(text),
      metadata,
      options,
      (error, value) => (error ? reject(error) : resolve({ answer: String(value), initial })),
    );
    call.on("metadata", (received) => {
      initial = received;
    });
  });
}

function same(value: Buffer): Buffer {
  return value;
}
