import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { request } from "undici";
import { describe, expect, it } from "vitest";
import { ConfigurationFile } from "./configuration-file.ts";
import { firstRecord, LoadBalancerProgram, portsOfItsOwn, runToEnd } from "./load-balancer-program.ts";
import { type LogRecord, parseRecord } from "./program-log.ts";

// Each starts the program, and some wait for a health check, which comes once in a second.
const atOnce = { concurrent: true, timeout: 30_000 };

describe("The load balancer of the quick start", atOnce, () => {
  it("alternates between the origins, and leaves the dead address out", async () => {
    await using program = await LoadBalancerProgram.start();
    await program.log.next(0, becameIll("127.0.0.1:343"));
    expect(await names(program, 30)).toEqual({ one: 10, two: 10, three: 10 });
  });

  it("passes a request to an origin and its answer back", async () => {
    await using program = await LoadBalancerProgram.start();
    const answer = await exchange(
      program.address,
      `GET /some/path?a=b HTTP/1.1\r\nHost: ${program.address}\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).toMatch(/\r\n\r\nHello from origin \w+\. You asked origin\.example for \/some\/path\?a=b\n$/);
  });

  it("shows no error once the health check has seen that an origin died, and takes it back in the end", async () => {
    await using program = await LoadBalancerProgram.start();
    await program.log.next(0, becameIll("127.0.0.1:343"));
    const two = program.origins.get("two") ?? "";
    const before = program.log.length;
    await program.tell("two", "stop");
    await program.log.next(before, becameIll(two));
    expect(await names(program, 200)).toEqual({ one: 100, three: 100 });
    await program.tell("two", "start");
    await program.log.next(before, (record) => record.msg === "backend is healthy again" && record.backend === two);
    expect(await names(program, 30)).toEqual({ one: 10, two: 10, three: 10 });
  });

  it("answers 503 when every origin is dead, and recovers", async () => {
    await using program = await LoadBalancerProgram.start();
    for (const name of program.origins.keys()) await program.tell(name, "stop");
    for (const address of program.origins.values()) await program.log.next(0, becameIll(address));
    const response = await request(`http://${program.address}/`);
    expect(response.statusCode).toBe(503);
    expect(await response.body.text()).toBe("no healthy upstream\n");
    const before = program.log.length;
    await program.tell("one", "start");
    await program.log.next(before, (record) => record.msg === "backend is healthy again");
    expect(await names(program, 5)).toEqual({ one: 5 });
  });

  it("does the same with several threads", async () => {
    await using program = await LoadBalancerProgram.start("threads: 2\n");
    await program.log.next(0, becameIll("127.0.0.1:343"));
    const two = program.origins.get("two") ?? "";
    const before = program.log.length;
    await program.tell("two", "stop");
    await program.log.next(before, becameIll(two));
    // Each thread takes turns of its own.
    expect(Object.keys(await names(program, 200)).sort()).toEqual(["one", "three"]);
    await program.tell("two", "start");
    await program.log.next(before, (record) => record.msg === "backend is healthy again" && record.backend === two);
    expect(Object.keys(await names(program, 200)).sort()).toEqual(["one", "three", "two"]);
    expect(await program.end("SIGTERM")).toBe(0);
    expect(program.printed.match(/Ctrl\+C stops it/g)).toHaveLength(1);
  });

  it("shows metrics", async () => {
    await using program = await LoadBalancerProgram.start();
    await names(program, 3);
    const response = await request(`http://${program.metricsAddress}/metrics`);
    expect(response.statusCode).toBe(200);
    expect(await response.body.text()).toMatch(/^cirque_connections_accepted_total\{.*\} [1-9]/m);
  });

  it.each(["SIGTERM", "SIGINT"] as const)("ends with exit code 0 by %s", async (signal) => {
    await using program = await LoadBalancerProgram.start();
    await names(program, 3);
    expect(await program.end(signal)).toBe(0);
  });
});

describe("The command line of the load balancer", atOnce, () => {
  it("explains itself", async () => {
    const { code, stdout } = await runToEnd("--help");
    expect(code).toBe(0);
    for (const option of ["--conf", "--daemon", "--test", "--help"]) expect(stdout).toContain(option);
  });

  it("refuses what it does not know", async () => {
    const { code, stderr } = await runToEnd("--nonsense");
    expect(code).not.toBe(0);
    expect(stderr).toContain("--nonsense");
  });

  it("tests a configuration, its own section included", async () => {
    await using good = await ConfigurationFile.create("gracePeriodMs: 1000\nquickStart:\n  address: 127.0.0.1:0\n");
    expect(await runToEnd("-t", "-c", good.path)).toMatchObject({ code: 0 });
    await using wrong = await ConfigurationFile.create("quickStart:\n  address: nowhere\n");
    const { code, stderr } = await runToEnd("-t", "-c", wrong.path);
    expect(code).toBe(1);
    expect(stderr).toContain('quickStart: "nowhere" is not an address');
  });

  it("says where a configuration is wrong", async () => {
    await using wrong = await ConfigurationFile.create("version: 1\ngracePeriodMs: soon\n");
    const { code, stderr } = await runToEnd("-c", wrong.path);
    expect(code).toBe(1);
    expect(stderr).toContain(`${wrong.path}:2:`);
    expect(stderr).toContain("gracePeriodMs");
  });

  it("says which address is taken", async () => {
    const owner = createServer().listen(0, "127.0.0.1");
    await once(owner, "listening");
    const { port } = owner.address() as AddressInfo;
    await using file = await ConfigurationFile.create(
      `quickStart:\n  address: 127.0.0.1:${port}\n  metricsAddress: 127.0.0.1:0\n  originPort: 0\n`,
    );
    const record = await firstRecord(["-c", file.path], ({ msg }) => msg.includes(`127.0.0.1:${port}`));
    owner.close();
    expect(record.msg).toContain("the address is in use");
  });

  it("runs as a daemon with a pid file, origins included", async () => {
    await using file = await ConfigurationFile.create(
      (folder) => `pidFile: ${folder}/pid\nerrorLog: ${folder}/log\ndaemonWaitForReady: true\n${portsOfItsOwn}`,
    );
    expect(await runToEnd("-d", "-c", file.path)).toMatchObject({ code: 0 });
    const pid = Number(await readFile(`${file.folder}/pid`, "utf8"));
    try {
      const log = (await readFile(`${file.folder}/log`, "utf8")).trimEnd().split("\n").map(parseRecord);
      const listening = log.find((record) => record.msg === "listening" && record.service !== "metrics");
      const response = await request(`http://${listening?.address}/`);
      expect(response.statusCode).toBe(200);
      expect(await response.body.text()).toContain("Hello from origin");
    } finally {
      process.kill(pid, "SIGTERM");
      await gone(pid);
    }
    await expect(readFile(`${file.folder}/pid`)).rejects.toMatchObject({ code: "ENOENT" });
  });
});

function becameIll(address: string): (record: LogRecord) => boolean {
  return (record) => record.msg === "backend is not healthy" && record.backend === address;
}

/** Sends so many requests, several at a time, and counts who answered. Throws when one is not answered with 200. */
async function names(program: LoadBalancerProgram, number: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  let left = number;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const response = await request(`http://${program.address}/`);
      const body = await response.body.text();
      if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}: ${body}`);
      const name = /origin (\w+)\./.exec(body)?.[1] ?? body;
      counts[name] = (counts[name] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: Math.min(8, number) }, lane));
  return counts;
}

/** Sends these bytes and returns what comes until the connection is closed. */
function exchange(address: string, bytes: string): Promise<string> {
  const [host = "", port] = address.split(":");
  const socket = connect({ host, port: Number(port) });
  socket.write(bytes);
  return text(socket);
}

/** Resolves when no process has this id any more. The daemon is not a child of this process, so there is no event. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
