import { type OnReadOpts, Socket } from "node:net";
import { passLease } from "./socket-lease.ts";

/** A read that fills so much is likely to be followed by others: bulk. */
export const BULK_BYTES: number = 16 * 1024;
/** Room for a piece of 64 KiB, which is what many write at a time, and a head in front of it. */
const BUFFER_BYTES = 68 * 1024;

/**
 * Options that make a socket read without the machinery of streams: no 64 KiB allocated for each read of a few hundred
 * bytes, no readable queue behind `pause`. (About one part in twenty-five of the cost of a small request.)
 *
 * All sockets of the thread read into one buffer, and a small read is copied out of it at once. A large read switches
 * its socket to buffers of its own, which are handed on without a copy.
 * @param receive Takes what was read, and says what then.
 * @param keepsBuffer Whether a socket that has read much keeps a buffer of its own from there on, also while it is idle.
 * Otherwise it goes back to the common one when it reads little, and the next large read is copied once.
 * @param lends Whether what this socket reads is only lent. Then its large buffer goes to another socket when it reads
 * little: many such sockets are idle, each of which would keep one.
 */
export function readOptions(
  receive: (this: Socket, chunk: Buffer) => AfterRead,
  keepsBuffer: boolean,
  lends: (socket: Socket) => boolean = () => false,
): OnReadOpts {
  return {
    buffer: () => {
      if (!answering) return shared; // a new socket asks for its first buffer
      answering = false;
      // Undefined lets the socket keep the buffer that it has; the type does not know.
      return next as Uint8Array;
    },
    callback(this: unknown, bytes: number, buffer: Uint8Array): boolean {
      const read = buffer as Buffer; // what the function above returned
      const bulk = bytes >= BULK_BYTES;
      const own = read !== shared;
      if (bulk && !own && lends(this as Socket)) {
        const lent = spares.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
        read.copy(lent, 0, 0, bytes);
        receive.call(this as Socket, lent.subarray(0, bytes));
        next = lent;
        answering = true;
        return true;
      }
      const then = receive.call(this as Socket, bulk && own ? read.subarray(0, bytes) : copyOf(read, bytes));
      if (bulk) next = own && then === "lent" ? undefined : Buffer.allocUnsafeSlow(BUFFER_BYTES);
      else if (own && then === "lent") next = putBack(read);
      else next = own && !keepsBuffer ? shared : undefined;
      answering = true;
      return then !== "stop";
    },
  };
}

/**
 * After a read: the buffer is taken; or it was only lent if it is a large one, and may be read into again; or it is taken and
 * nothing more is read until the socket's stream asks for it.
 */
export type AfterRead = "taken" | "lent" | "stop";

/** Buffers that were lent and came back. */
const spares: Buffer[] = [];
const MAX_SPARES = 32;

/** @returns the buffer to read into from here on. */
function putBack(buffer: Buffer): Buffer {
  if (spares.length < MAX_SPARES) spares.push(buffer);
  return shared;
}

function copyOf(buffer: Buffer, bytes: number): Buffer {
  const copy = bytes < BULK_BYTES ? Buffer.allocUnsafe(bytes) : Buffer.allocUnsafeSlow(bytes);
  buffer.copy(copy, 0, 0, bytes);
  return copy;
}

/**
 * The same connection as a socket with `onread`. Node lets only those who connect choose it, not those who accept; so
 * this takes the handle of an accepted socket, which nothing was read from, and makes a socket of it anew. Where the
 * handle cannot be had (another version of Node, a TLS socket, a socket of the user's own), the socket stays as it is.
 */
export function withReadOptions(socket: Socket, onread: OnReadOpts): Socket {
  const accepted = socket as unknown as AcceptedSocket;
  const handle = accepted._handle;
  if (socket.constructor !== Socket || typeof handle !== "object" || handle === null || handle.reading) return socket;
  accepted._handle = null;
  const options: object = { handle, allowHalfOpen: socket.allowHalfOpen, pauseOnCreate: true, onread };
  const adopted = new Socket(options);
  // The server counts its connections by these.
  const { server, _server } = accepted;
  Object.assign(adopted, { server, _server });
  accepted.server = accepted._server = null;
  passLease(socket, adopted);
  return adopted;
}

/** What Node's own code finds on an accepted socket; no part of its documented interface. */
interface AcceptedSocket {
  _handle: { readonly reading: boolean } | null | undefined;
  _server: unknown;
  server: unknown;
}

/** The buffer that small reads go to. What comes of a read has left it before the next one. */
const shared: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
/** Node asks for the next buffer right behind each read: what it gets then, and whether it is that call. */
let next: Buffer | undefined;
let answering = false;
