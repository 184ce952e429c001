import { once } from "node:events";
import { type AddressInfo, connect, createServer, Socket } from "node:net";
import { expect, it } from "vitest";
import { acceptedConnection } from "./connection.ts";
import { readOptions, withReadOptions } from "./read-buffer.ts";

const nobody = { onBytes(): void {}, onEnd(): void {}, onDrain(): void {}, onClose(): void {} };

it("a server counts the sockets that were made anew, and closes when they are gone", async () => {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [accepted] = (await once(server, "connection")) as [Socket];
  const connection = acceptedConnection(accepted, nobody);
  expect(connection.socket).not.toBe(accepted);

  const count = await new Promise((resolve) => server.getConnections((_error, connections) => resolve(connections)));
  expect(count).toBe(1);

  const closed = once(server, "close");
  server.close();
  connection.destroy();
  await closed;
  client.destroy();
});

it("a socket of another class, or without a handle, stays as it is", () => {
  class OtherSocket extends Socket {}
  const onread = readOptions(() => "taken", false);
  for (const socket of [new OtherSocket(), new Socket()]) {
    expect(withReadOptions(socket, onread)).toBe(socket);
    socket.destroy();
  }
});
