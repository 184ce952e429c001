import { HttpPeer } from "@cirque/core";
import { describe, expect, test } from "vitest";
import type { HttpProxyOptions, ProxyHttp } from "../src/index.ts";
import { okResponse, RawOrigin, refusingAddress } from "./harness/raw-origin.ts";
import { get, post, TestProxy } from "./harness/test-proxy.ts";

const unavailable = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";

describe("statuses of origins that count as failures (ERRP-10)", () => {
  const options: HttpProxyOptions = { retry: { statuses: [502, 503] } };

  test("the next origin is asked, and its answer is what the client gets", async () => {
    await using busy = await RawOrigin.answering(unavailable);
    await using fine = await RawOrigin.answering(okResponse("fine"));
    await using proxy = await TestProxy.start(inTurn(busy.peer(), fine.peer()), options);
    expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 200 .*fine$/s);
    expect(await proxy.metric('cirque_upstream_retries_total{service="http"}')).toBe(1);
  });

  test("when attempts run out, the client gets the last answer as it is", async () => {
    await using busy = await RawOrigin.answering(unavailable);
    await using proxy = await TestProxy.start(inTurn(busy.peer()), options);
    expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 503 .*busy$/s);
    expect(busy.connections).toHaveLength(3);
  });

  test("a POST is not sent twice, and a body that was not kept neither", async () => {
    await using busy = await RawOrigin.answering(unavailable);
    await using fine = await RawOrigin.answering(okResponse("fine"));
    await using proxy = await TestProxy.start(inTurn(busy.peer(), fine.peer()), { ...options, retryBufferBytes: 2 });
    expect(await proxy.exchange(post("t"))).toMatch(/^HTTP\/1\.1 503 /);
    expect(await proxy.exchange(post("t").replace("POST", "PUT"))).toMatch(/^HTTP\/1\.1 200 /);
    expect(await proxy.exchange(post("tea").replace("POST", "PUT"))).toMatch(/^HTTP\/1\.1 503 /);
  });

  test("other statuses are answers", async () => {
    await using failing = await RawOrigin.answering("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    await using proxy = await TestProxy.start(inTurn(failing.peer()), options);
    expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 500 /);
    expect(failing.connections).toHaveLength(1);
  });
});

describe("deadlines (ERRP-11)", () => {
  test("an attempt that takes too long is given up for another origin", async () => {
    await using silent = await RawOrigin.start();
    await using fine = await RawOrigin.answering(okResponse("fine"));
    const callbacks = inTurn(silent.peer(), fine.peer());
    await using proxy = await TestProxy.start(callbacks, { retry: { perTryTimeoutMs: 50 } });
    expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 200 /);
    await using alone = await TestProxy.start(inTurn(silent.peer()), { retry: { perTryTimeoutMs: 20 } });
    expect(await alone.exchange(get())).toMatch(/^HTTP\/1\.1 504 /);
  });

  test("it does not cut a response that has begun", async () => {
    await using slow = await RawOrigin.start(async (connection) => {
      await connection.requestHead();
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl");
      setTimeout(() => connection.send("ow"), 60);
    });
    const retry = { perTryTimeoutMs: 30, totalTimeoutMs: 40 };
    await using proxy = await TestProxy.start(inTurn(slow.peer()), { retry });
    expect(await proxy.exchange(get())).toMatch(/slow$/);
  });

  test("all attempts together end at the total deadline", async () => {
    await using silent = await RawOrigin.start();
    const retry = { perTryTimeoutMs: 30, totalTimeoutMs: 45 };
    await using proxy = await TestProxy.start(inTurn(silent.peer()), { retry, maxAttempts: 50 });
    expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 504 /);
    expect(silent.connections.length).toBeLessThan(4);
  });
});

describe("back-off (ERRP-11)", () => {
  test("the next attempt comes after a pause, which a client that leaves ends", async () => {
    const address = await refusingAddress();
    await using fine = await RawOrigin.answering(okResponse("fine"));
    const backOff = { baseMs: 1 };
    await using proxy = await TestProxy.start(inTurn(new HttpPeer(address), fine.peer()), { retry: { backOff } });
    expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 200 /);

    const ended = Promise.withResolvers<void>();
    const failed = Promise.withResolvers<void>();
    const callbacks: ProxyHttp = {
      upstreamPeer: () => new HttpPeer(address),
      failToConnect: (_session, _peer, _ctx, error) => {
        failed.resolve();
        return error;
      },
      logging: () => ended.resolve(),
    };
    const longest = { baseMs: 2 ** 31 - 1, maxMs: 2 ** 31 - 1 };
    await using patient = await TestProxy.start(callbacks, { retry: { backOff: longest } });
    const client = await patient.client();
    client.send(get());
    await failed.promise;
    client.reset();
    await ended.promise;
  });
});

describe("the retry budget (ERRP-11)", () => {
  test("keeps repeated requests a part of all, and connections that were refused do not count", async () => {
    await using broken = await RawOrigin.start(async (connection) => {
      await connection.requestHead();
      connection.reset();
    });
    const budget = { ratio: 0, minimumPerSecond: 0 };
    await using proxy = await TestProxy.start(retrying(broken.peer()), { retry: { budget } });
    expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 502 /);
    expect(broken.connections).toHaveLength(1);
    expect(await proxy.metric('cirque_upstream_retries_denied_total{service="http"}')).toBe(1);

    await using fine = await RawOrigin.answering(okResponse("fine"));
    const callbacks = inTurn(new HttpPeer(await refusingAddress()), fine.peer());
    await using other = await TestProxy.start(callbacks, { retry: { budget } });
    expect(await other.exchange(get())).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe("circuit breaking (ERRP-11)", () => {
  test("an origin that fails again and again is left alone, others serve, and without others it is 503", async () => {
    const address = await refusingAddress();
    const circuitBreaker = { failures: 2, openMs: 60_000 };
    let asked = 0;
    const callbacks: ProxyHttp = {
      upstreamPeer: () => new HttpPeer(address),
      failToConnect: (_session, _peer, _ctx, error) => {
        if (error.code === "ConnectRefused") asked++;
        return error;
      },
    };
    await using proxy = await TestProxy.start(callbacks, { retry: { circuitBreaker } });
    expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 503 /);
    expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 503 /);
    expect(asked).toBe(2);
    expect(await proxy.metric('cirque_upstream_circuits_opened_total{service="http"}')).toBe(1);
    expect(proxy.logger.messages("warn")).toContain("the origin fails again and again, and is left alone for a while");
  });

  test("statuses that count as failures open it as well", async () => {
    await using busy = await RawOrigin.answering(unavailable);
    const retry = { statuses: [503], circuitBreaker: { failures: 3, openMs: 60_000 } };
    await using proxy = await TestProxy.start(inTurn(busy.peer()), { retry });
    await proxy.exchange(get());
    await proxy.exchange(get());
    expect(busy.connections).toHaveLength(3);
  });
});

describe("hedging (ERRP-11)", () => {
  const retry = { hedge: { afterMs: 20 } };

  test("a second origin is asked when the first is late, and the faster one answers", async () => {
    const cut = Promise.withResolvers<void>();
    await using silent = await RawOrigin.start(async (connection) => {
      await connection.requestHead();
      await connection.whenClosed();
      cut.resolve();
    });
    await using fine = await RawOrigin.answering(okResponse("fine"));
    let facts: { readonly address: string | undefined; readonly attempts: number } | undefined;
    const callbacks: ProxyHttp = {
      ...inTurn(silent.peer(), fine.peer()),
      logging: (session) => {
        facts = { address: session.upstream?.peer.address, attempts: session.attempts };
      },
    };
    await using proxy = await TestProxy.start(callbacks, { retry });
    expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 200 .*fine$/s);
    await cut.promise;
    expect(facts).toEqual({ address: fine.peer().address, attempts: 2 });
  });

  test("the first may still win, and when the second fails it is waited for", async () => {
    await using slow = await RawOrigin.start(async (connection) => {
      await connection.requestHead();
      setTimeout(() => connection.send(okResponse("slow")), 80);
    });
    const refusing = new HttpPeer(await refusingAddress());
    await using proxy = await TestProxy.start(inTurn(slow.peer(), refusing), { retry });
    expect(await proxy.exchange(get())).toMatch(/slow$/);
  });

  test("a request that may not be sent twice, or has a body, is not", async () => {
    await using slow = await RawOrigin.start(async (connection) => {
      await connection.request();
      setTimeout(() => connection.send(okResponse("slow")), 60);
    });
    await using fine = await RawOrigin.answering(okResponse("fine"));
    for (const request of [post("tea"), post("tea").replace("POST", "PUT")]) {
      await using proxy = await TestProxy.start(inTurn(slow.peer(), fine.peer()), { retry });
      expect(await proxy.exchange(request)).toMatch(/slow$/);
    }
    expect(fine.connections).toHaveLength(0);
  });

  test("a client that leaves ends both", async () => {
    const closed: Promise<unknown>[] = [];
    const silent = await Promise.all(
      [1, 2].map(() =>
        RawOrigin.start(async (connection) => {
          await connection.requestHead();
          closed.push(connection.whenClosed());
        }),
      ),
    );
    const [one, two] = silent as [RawOrigin, RawOrigin];
    await using proxy = await TestProxy.start(inTurn(one.peer(), two.peer()), { retry });
    const client = await proxy.client();
    client.send(get());
    while (closed.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    client.reset();
    await Promise.all(closed);
    for (const origin of silent) await origin[Symbol.asyncDispose]();
  });
});

/** One origin after another, from the first, for each request. */
function inTurn(...peers: HttpPeer[]): ProxyHttp {
  return {
    upstreamPeer: (session) => {
      const next = turns.get(session) ?? 0;
      turns.set(session, next + 1);
      return peers[next % peers.length] as HttpPeer; // there is at least one
    },
  };
}

const turns = new WeakMap<object, number>();

/** Has each failed attempt followed by another. */
function retrying(peer: HttpPeer): ProxyHttp {
  return {
    upstreamPeer: () => peer,
    errorWhileProxy: (_peer, _session, error) => {
      error.retry = true;
      return error;
    },
  };
}
