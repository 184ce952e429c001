import { describe, expect, it } from "vitest";
import { CollectingSink } from "../../test/wire/collecting-sink.ts";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { type RawPeer, settled } from "../../test/wire/raw-peer.ts";
import { ask, requestHead, sized, TestOrigin } from "../../test/wire/test-origin.ts";
import type { Http1ClientSession } from "./client-session.ts";

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: example/1\r\nConnection: Upgrade\r\n\r\n";

/** A session that has asked for another protocol and got it, its tunnel not yet open. */
async function granted(test: TestOrigin, behind = ""): Promise<{ session: Http1ClientSession; origin: RawPeer }> {
  const { session, origin } = await test.connected();
  session.writeHead(requestHead("GET", { upgrade: "example/1" }), false);
  const head = session.readHead();
  await origin.until("\r\n\r\n");
  await origin.sendNow(switching + behind);
  expect((await head).status).toBe(101);
  return { session, origin };
}

/** The same, and open. */
async function tunnel(
  test: TestOrigin,
  behind = "",
): Promise<{ session: Http1ClientSession; origin: RawPeer; sink: CollectingSink }> {
  const { session, origin } = await granted(test, behind);
  const sink = new CollectingSink();
  session.upgrade();
  session.readBody(sink);
  origin.clear();
  return { session, origin, sink };
}

describe("asking an origin for another protocol", () => {
  it("says so, and the connection is never kept", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    const response = ask(session, requestHead("GET", { upgrade: "websocket", connection: "close" }));
    const text = await origin.until("\r\n\r\n");
    expect(text).toContain("\r\nConnection: Upgrade\r\n");
    expect(text).not.toContain("close");
    origin.send(sized("refused"));
    expect((await (await response).sink.body()).text).toBe("refused");
    expect(session.reusable).toBe(false);
  });

  it("and getting it before the request was sent whole is an error", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await test.connected();
    session.writeHead(requestHead("POST", { upgrade: "websocket" }), true);
    session.write(Buffer.from("some"));
    const head = session.readHead();
    await origin.until("some");
    origin.send(switching);
    await expect(head).rejects.toMatchObject({ code: "H1Error", source: "upstream" });
  });
});

describe("a tunnel to an origin", () => {
  it("carries bytes both ways as they are, those behind the 101 first", async () => {
    await using test = await TestOrigin.start();
    const { session, origin, sink } = await tunnel(test, "HTTP/1.1 200 OK\r\n\r\n");
    expect(sink.text).toBe("HTTP/1.1 200 OK\r\n\r\n");
    origin.send("\0\xff");
    session.write(Buffer.from("GET "));
    session.write(Buffer.from("\0"));
    expect(await origin.bytes(5)).toBe("GET \0");
    await settled();
    expect(sink.text).toBe("HTTP/1.1 200 OK\r\n\r\n\0\xff");
    expect(session.reusable).toBe(false);
  });

  it("is half closed by the origin, and goes on the other way", async () => {
    await using test = await TestOrigin.start();
    const { session, origin, sink } = await tunnel(test);
    origin.send("last words").end();
    expect((await sink.body()).text).toBe("last words");
    expect(session).toMatchObject({ responseEnded: true, requestEnded: false });
    session.write(Buffer.from("answer"));
    session.end();
    expect(await origin.whenClosed()).toEqual({ text: "answer", reset: false });
    expect(sink.lastCalls).toBe(1);
  });

  it("is half closed by us, and goes on the other way", async () => {
    await using test = await TestOrigin.start();
    const { session, origin, sink } = await tunnel(test);
    session.write(Buffer.from("last words"));
    session.end();
    expect(await origin.whenEnded()).toBe("last words");
    origin.send("answer").end();
    expect((await sink.body()).text).toBe("answer");
  });

  it.each(["", "early"])(
    "learns of an origin that ended before the tunnel was read, having sent %j",
    async (behind) => {
      await using test = await TestOrigin.start();
      for (const upgradeFirst of [true, false]) {
        const { session, origin } = await granted(test, behind);
        if (upgradeFirst) session.upgrade();
        origin.end();
        await settled();
        if (!upgradeFirst) session.upgrade();
        const sink = new CollectingSink();
        session.readBody(sink);
        expect((await sink.body()).text).toBe(behind);
        session.close();
      }
    },
  );

  it("that broke before it was read is an error, behind what had come", async () => {
    await using test = await TestOrigin.start();
    const { session, origin } = await granted(test, "early");
    origin.reset();
    await settled();
    session.upgrade();
    const sink = new CollectingSink();
    session.readBody(sink);
    await expect(sink.body()).rejects.toMatchObject({ code: "ConnectionClosed", source: "upstream" });
    expect(sink.text).toBe("early");
  });

  it("that breaks is an error, once", async () => {
    await using test = await TestOrigin.start();
    const { origin, sink } = await tunnel(test);
    origin.reset();
    await expect(sink.body()).rejects.toMatchObject({ code: "ConnectionClosed", source: "upstream", retry: false });
    expect(sink.lastCalls).toBe(1);
  });

  it("can be held back and goes on in order", async () => {
    await using test = await TestOrigin.start();
    const { session, origin, sink } = await tunnel(test, "1");
    session.pauseBody();
    await origin.sendNow("2");
    await origin.sendNow("3");
    await settled();
    expect(sink.text).toBe("1");
    session.resumeBody();
    await settled();
    expect(sink.text).toBe("123");
  });

  it("has no time-outs of its own, also not behind a time when the origin did not read", async () => {
    await using test = await TestOrigin.start();
    using clock = new FakeClock();
    const { session, origin, sink } = await tunnel(test);
    origin.socket.pause();
    const writable = new Promise<void>((resolve) => {
      session.observer = { onWritable: resolve };
    });
    let sent = 0;
    do sent += 64 * 1024;
    while (session.write(Buffer.alloc(64 * 1024)));
    origin.socket.resume();
    await origin.bytes(sent);
    await writable;
    await clock.pass(86_400_000);
    origin.send("still here");
    await settled();
    expect(sink.text).toBe("still here");
  });
});
