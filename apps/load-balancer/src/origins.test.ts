import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { Origins } from "./origins.ts";

describe("Origins", () => {
  it("answer with their names", async () => {
    await using running = await start();
    const { origins } = running;
    const answers = await Promise.all(origins.addresses.map((address) => text(`http://${address}/path?query`)));
    expect(answers).toEqual(
      ["one", "two", "three"].map(
        (name, index) => `Hello from origin ${name}. You asked ${origins.addresses[index]} for /path?query\n`,
      ),
    );
  });

  it("die and return as they are told, on the same port", async () => {
    await using running = await start();
    const { origins } = running;
    const [, two] = origins.addresses;
    const control = `http://${origins.control.address}`;
    expect(await post(`${control}/two/stop`)).toBe(`origin two at ${two} is stopped\n`);
    await expect(fetch(`http://${two}`)).rejects.toThrow();
    expect(await text(`${control}/`)).toContain(`origin two at ${two} is stopped\norigin three`);
    expect(await post(`${control}/two/stop`)).toBe(`origin two at ${two} is stopped\n`);
    expect(await post(`${control}/two/start`)).toBe(`origin two at ${two} runs\n`);
    expect(await post(`${control}/two/start`)).toBe(`origin two at ${two} runs\n`);
    expect(await text(`http://${two}`)).toContain("origin two");
  });

  it("explain what can be asked of them", async () => {
    await using running = await start();
    const control = `http://${running.origins.control.address}`;
    for (const path of ["/two", "/four/stop", "/two/destroy", "//", "/two/constructor"]) {
      const response = await fetch(`${control}${path}`, { method: "POST", body: "x" });
      expect(response.status).toBe(404);
      expect(await response.text()).toContain(
        "POST /NAME/stop or POST /NAME/start, where NAME is one of one, two, three",
      );
    }
    expect((await fetch(`${control}/two/stop`)).status).toBe(404);
  });

  it("say so when the port of one that returns was taken meanwhile", async () => {
    await using running = await start();
    const control = `http://${running.origins.control.address}`;
    await post(`${control}/one/stop`);
    const thief = createServer().listen(running.origins.list[0]?.port, "127.0.0.1");
    await once(thief, "listening");
    const response = await fetch(`${control}/one/start`, { method: "POST" });
    expect(response.status).toBe(500);
    expect(await response.text()).toContain("EADDRINUSE");
    thief.close();
    await once(thief, "close");
    expect(await post(`${control}/one/start`)).toContain("runs");
  });

  it("take other ports where those that they would like are taken", async () => {
    const thief = createServer().listen(0, "127.0.0.1");
    await once(thief, "listening");
    const { port } = thief.address() as AddressInfo;
    const origins = await Origins.choosePorts(port - 1);
    const ports = [origins.control.port, ...origins.list.map((origin) => origin.port)];
    expect(ports).not.toContain(port);
    expect(new Set(ports).size).toBe(4);
    thief.close();
  });
});

async function start() {
  const origins = await Origins.choosePorts(0);
  await origins.start();
  return { origins, [Symbol.asyncDispose]: () => origins.stop() };
}

async function text(url: string): Promise<string> {
  return (await fetch(url)).text();
}

async function post(url: string): Promise<string> {
  return (await fetch(url, { method: "POST" })).text();
}
