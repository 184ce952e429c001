import type { Socket } from "node:net";
import { parseSocketAddress } from "../address/socket-address.ts";
import { Deadline } from "../connection/deadline.ts";
import type { AcceptedConnection } from "../listeners/accepted-connection.ts";
import { ConnectionRefused } from "./connection-refused.ts";
import type { PreTlsConnection } from "./pre-tls.ts";

/** What is known of a connection, while more is being learnt. */
export type AcceptedSoFar = { -readonly [Key in keyof AcceptedConnection]: AcceptedConnection[Key] };

/** A connection on its way from accept to its handler. One step at a time; each has a deadline. */
export class Arrival implements PreTlsConnection {
  readonly socket: Socket;
  readonly accepted: AcceptedSoFar;
  readonly #deadline: Deadline;
  readonly #onClose: () => void;
  #step = "";
  #reject: ((reason: ConnectionRefused) => void) | undefined;
  #over: ConnectionRefused | undefined;

  constructor(socket: Socket, accepted: AcceptedSoFar) {
    this.socket = socket;
    this.accepted = accepted;
    this.#deadline = new Deadline(() => this.refuse(late(this.#step)));
    // In the next turn: whoever closed it, TLS for example, may have a better reason to tell.
    this.#onClose = () =>
      void setImmediate(() => this.refuse(new ConnectionRefused("client-gone", "the client closed it")));
    ignoreErrors(socket);
    socket.on("close", this.#onClose);
  }

  /**
   * Runs a step, at most so long.
   *
   * @param name What the reason for a refusal begins with.
   * @throws ConnectionRefused when it takes longer, when the client goes, or when the server stops; else what it throws.
   */
  within<T>(ms: number, name: string, run: () => T | Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#over !== undefined) {
        reject(this.#over);
        return;
      }
      this.#step = name;
      this.#reject = reject;
      this.#deadline.set(ms);
      // In the body of a promise: what is thrown at once rejects, too.
      resolveWith(run(), resolve, reject);
    }).finally(() => {
      this.#reject = undefined;
      this.#deadline.clear();
    });
  }

  /** Ends the step under way, and lets none begin. */
  refuse(reason: ConnectionRefused): void {
    this.#over ??= reason;
    this.#reject?.(reason);
  }

  read(): Promise<Buffer | undefined> {
    const { socket } = this;
    const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
    const take = (bytes?: Buffer): void => {
      socket.pause();
      socket.off("data", take);
      socket.off("end", take);
      resolve(bytes);
    };
    socket.on("data", take);
    socket.on("end", take);
    socket.resume();
    if (socket.readableEnded) take();
    return promise;
  }

  unread(bytes: Buffer): void {
    if (bytes.length > 0) this.socket.unshift(bytes);
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  setAddresses({ clientAddress, serverAddress }: { clientAddress?: string; serverAddress?: string }): void {
    if (clientAddress !== undefined) this.accepted.clientAddress = checked(clientAddress);
    if (serverAddress !== undefined) this.accepted.serverAddress = checked(serverAddress);
  }

  /** It has arrived, or was refused. */
  leave(): void {
    this.#deadline.dispose();
    this.socket.off("close", this.#onClose);
  }
}

/** What breaks a connection on its way also closes it, which is enough to know. */
export function ignoreErrors(socket: Socket): void {
  socket.on("error", ignore);
}

/** Whoever takes the socket over minds its errors from here on. */
export function heedErrors(socket: Socket): void {
  socket.off("error", ignore);
}

function resolveWith<T>(value: T | Promise<T>, resolve: (value: T) => void, reject: (error: unknown) => void): void {
  if (value instanceof Promise) value.then(resolve, reject);
  else resolve(value);
}

function checked(address: string): string {
  if (address !== "unix:") parseSocketAddress(address, { allowPortZero: true });
  return address;
}

function late(step: string): ConnectionRefused {
  return new ConnectionRefused(`${step}-timeout`, `it took too long (${step})`);
}

function ignore(): void {}
