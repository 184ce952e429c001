/**
 * The origin behind every proxy of the HTTP/1.1 scenarios. It runs as a process of its own, listens on a
 * port the system chooses, and reports that port to its parent.
 *
 * It has to cost so little that the proxy stays the bottleneck: it reads only the request line and, for an
 * upload, the body's framing, and answers with one write of a buffer made beforehand.
 *
 * - `GET /bytes/N`: N bytes.
 * - `POST /upload`: the number of body bytes received, once all have come.
 * - `GET /endless`: a chunked response without end.
 * - `POST /slow-upload`: reads the body slowly, and never answers.
 * - `GET /echo` with an upgrade: a WebSocket that sends each message back.
 */
import { createServer, type Socket } from "node:net";
import { endlessResponse, slowUpload } from "./slow-modes.ts";
import { UploadReader } from "./upload-reader.ts";
import { acceptWebSocket } from "./websocket-echo.ts";

const endOfHead = "\r\n\r\n";
const longestHeadBytes = 64 * 1024;
const nothing = Buffer.alloc(0);
const answers = new Map<string, Buffer>();
let accepted = 0;

const server = createServer({ noDelay: true }, serve);
server.listen(0, "127.0.0.1", 4096, () => {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the origin has no port");
  process.send?.({ port: address.port });
});
// Asked how many connections there were.
process.on("message", () => process.send?.({ accepted }));
process.on("disconnect", () => process.exit(0));

/** Answers the requests of one connection, in order. */
function serve(socket: Socket): void {
  accepted += 1;
  let unread: Buffer = nothing;
  let upload: UploadReader | undefined;

  const onData = (chunk: Buffer): void => {
    unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk]);
    while (unread.length > 0 || upload) {
      if (upload) {
        unread = upload.read(unread);
        if (!upload.done) return;
        socket.write(answer(String(upload.receivedBytes)));
        upload = undefined;
        continue;
      }
      const end = unread.indexOf(endOfHead);
      if (end === -1) {
        if (unread.length > longestHeadBytes) socket.destroy();
        return;
      }
      const head = unread.toString("latin1", 0, end + 2);
      unread = unread.subarray(end + endOfHead.length);
      const target = head.slice(head.indexOf(" ") + 1, head.indexOf(" HTTP/1."));
      if (target.startsWith("/bytes/")) {
        socket.write(bytesAnswer(target));
      } else if (target === "/upload") {
        upload = new UploadReader(head);
      } else {
        socket.off("data", onData);
        takeOver(socket, target, head, unread);
        return;
      }
    }
  };

  socket.on("data", onData);
  // A proxy that drops a connection is the proxy's affair; the load side counts what it misses.
  socket.on("error", () => socket.destroy());
}

/** The modes that keep the connection to themselves. */
function takeOver(socket: Socket, target: string, head: string, rest: Buffer): void {
  if (target === "/endless") endlessResponse(socket);
  else if (target === "/slow-upload") slowUpload(socket);
  else if (target === "/echo") acceptWebSocket(socket, head, rest);
  else socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

/** Answer to `/bytes/N`, made once for each N. */
function bytesAnswer(target: string): Buffer {
  const made = answers.get(target);
  if (made) return made;
  const length = Number(target.slice("/bytes/".length));
  if (!Number.isSafeInteger(length) || length < 0 || length > 64 * 1024 * 1024) return answer("");
  const whole = answer("x".repeat(length));
  answers.set(target, whole);
  return whole;
}

/** A whole 200 response with this body. */
function answer(body: string): Buffer {
  return Buffer.from(
    `HTTP/1.1 200 OK\r\nserver: origin\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    "latin1",
  );
}
