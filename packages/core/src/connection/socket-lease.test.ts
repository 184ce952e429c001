import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, it } from "vitest";
import { acceptedConnection, type ConnectionListener } from "./connection.ts";
import { leaseUntilClosed } from "./socket-lease.ts";

const nobody: ConnectionListener = { onBytes() {}, onEnd() {}, onDrain() {}, onClose() {} };

it("a lease is released once, when the socket is closed", async () => {
  using pair = await connectedPair();
  let released = 0;
  leaseUntilClosed(pair.accepted, { release: () => released++ });
  pair.accepted.destroy();
  await once(pair.accepted, "close");
  expect(released).toBe(1);
});

it("a lease goes over to the socket that a connection is made of, with the addresses that are known", async () => {
  using pair = await connectedPair();
  let released = 0;
  leaseUntilClosed(pair.accepted, { release: () => released++ });
  const ends = { peerAddress: "192.0.2.1:1", localAddress: "192.0.2.2:2" };
  const connection = acceptedConnection(pair.accepted, nobody, ends);
  expect([connection.remoteAddress, connection.localAddress]).toEqual(["192.0.2.1:1", "192.0.2.2:2"]);
  expect(connection.socket).not.toBe(pair.accepted);
  // What is left of the accepted socket holds nothing any more.
  pair.accepted.destroy();
  await once(pair.accepted, "close");
  expect(released).toBe(0);
  connection.destroy();
  await once(connection.socket, "close");
  expect(released).toBe(1);
});

/** Both ends of a connection; the accepted one as a listener hands it over. */
async function connectedPair(): Promise<{ readonly accepted: Socket } & Disposable> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [accepted] = (await once(server, "connection")) as [Socket];
  server.close();
  return {
    accepted,
    [Symbol.dispose]: () => {
      client.destroy();
      accepted.destroy();
    },
  };
}
