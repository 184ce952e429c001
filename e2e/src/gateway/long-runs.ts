import { createHash, type Hash } from "node:crypto";
import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { WebSocket } from "ws";
import { downloadBytes, type Origin } from "./origin.ts";

/** A download, an upload and a WebSocket that are in the middle. */
export class LongRuns {
  static async start(address: string): Promise<LongRuns> {
    const [download, upload, webSocket] = await Promise.all([
      startDownload(address),
      startUpload(address),
      startWebSocket(address),
    ]);
    return new LongRuns(download, upload, webSocket);
  }

  readonly #download: Download;
  readonly #upload: ClientRequest;
  readonly #webSocket: WebSocket;

  private constructor(download: Download, upload: ClientRequest, webSocket: WebSocket) {
    this.#download = download;
    this.#upload = upload;
    this.#webSocket = webSocket;
  }

  /** Lets them go on to their end. Rejects unless each completes, with every byte. */
  async finish(origin: Origin): Promise<void> {
    origin.finishDownloads();
    await Promise.all([finishDownload(this.#download), finishUpload(this.#upload), finishWebSocket(this.#webSocket)]);
  }
}

interface Download {
  readonly response: IncomingMessage;
  readonly hash: Hash;
  readonly ended: Promise<unknown>;
}

/** Resolves when the first half is here, so that the rest is what is missing. */
async function startDownload(address: string): Promise<Download> {
  const [response] = (await once(request(`http://${address}/download`, own).end(), "response")) as [IncomingMessage];
  const hash = createHash("sha256");
  const ended = once(response, "end");
  ended.catch(() => {}); // who finishes it is told
  await new Promise<void>((resolve, reject) => {
    let bytes = 0;
    response.once("error", reject);
    response.on("data", (piece: Buffer) => {
      hash.update(piece);
      bytes += piece.length;
      if (bytes >= downloadBytes / 2) resolve();
    });
  });
  return { response, hash, ended };
}

async function finishDownload({ response, hash, ended }: Download): Promise<void> {
  await ended;
  if (!response.complete || hash.digest("hex") !== contentHash) throw new Error("the download is not what was sent");
}

async function startUpload(address: string): Promise<ClientRequest> {
  const headers = { "content-length": content.length };
  const upload = request(`http://${address}/upload`, { ...own, method: "PUT", headers });
  upload.on("error", () => {}); // who waits for the response is told
  await new Promise<void>((resolve, reject) => {
    upload.write(content.subarray(0, content.length / 2), (error) => (error ? reject(error) : resolve()));
  });
  return upload;
}

async function finishUpload(upload: ClientRequest): Promise<void> {
  const answered = once(upload, "response") as Promise<[IncomingMessage]>;
  upload.end(content.subarray(content.length / 2));
  const [response] = await answered;
  const answer = await text(response);
  if (response.statusCode !== 200 || answer !== contentHash) {
    throw new Error(`the upload was answered with ${response.statusCode}: ${answer}`);
  }
}

async function startWebSocket(address: string): Promise<WebSocket> {
  const webSocket = new WebSocket(`ws://${address}/`);
  await once(webSocket, "open");
  await echo(webSocket, "before");
  return webSocket;
}

async function finishWebSocket(webSocket: WebSocket): Promise<void> {
  await echo(webSocket, "after");
  const closed = once(webSocket, "close");
  webSocket.close(1000);
  const [code] = await closed;
  if (code !== 1000) throw new Error(`the WebSocket ended with code ${code}`);
}

async function echo(webSocket: WebSocket, message: string): Promise<void> {
  const answered = once(webSocket, "message");
  webSocket.send(message);
  const [answer] = await answered;
  if (String(answer) !== message) throw new Error(`the echo of ${message} is ${answer}`);
}

/** Each has a connection of its own. */
const own = { agent: false };
const content = Buffer.alloc(downloadBytes, "0123456789");
const contentHash = createHash("sha256").update(content).digest("hex");
