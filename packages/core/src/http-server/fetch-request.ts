import { CirqueError } from "../errors/cirque-error.ts";
import type { ServerSession } from "../session/server-session.ts";

/**
 * The request of a session as a `Request` of the fetch standard. Its body streams, no faster than it is read; its signal
 * aborts when the client leaves.
 *
 * @throws CirqueError, downstream, `HTTPStatus` with 400 or 501 when the standard has no room for the request: a target
 * that is no path, or a method that it forbids, such as TRACE.
 */
export function fetchRequestOf(session: ServerSession, signal: AbortSignal): Request {
  const { request } = session;
  const url = urlOf(session);
  // A request without a body may have one in the standard only if its method is not GET or HEAD.
  const mayHaveBody = request.method !== "GET" && request.method !== "HEAD";
  const body = session.hasRequestBody && mayHaveBody ? bodyOf(session) : null;
  try {
    return new Request(url, {
      method: request.method,
      headers: request.headers.toHeaders(),
      signal,
      // Both are asked for by the standard; the type of the body is not in all declarations.
      ...(body && { body, duplex: "half" }),
    } as RequestInit);
  } catch (cause) {
    throw refused(501, `the method ${request.method} cannot be served here`, cause);
  }
}

function urlOf(session: ServerSession): URL {
  const { request, accepted } = session;
  const scheme = accepted?.tls ? "https" : "http";
  const { target } = request;
  if (target !== "*" && !target.startsWith("/") && !/^https?:\/\//i.test(target)) {
    throw refused(400, `${target} is no path`);
  }
  const site = `${scheme}://${request.authority ?? session.serverAddress}`;
  try {
    if (target === "*") return new URL(site);
    return new URL(target.startsWith("/") ? site + target : target);
  } catch (cause) {
    throw refused(400, `${target} is no URL`, cause);
  }
}

function bodyOf(session: ServerSession): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    start(controller) {
      let ended = false;
      session.readBody({
        onData(chunk) {
          if (ended) return;
          controller.enqueue(chunk);
          if ((controller.desiredSize ?? 0) <= 0) session.pauseBody();
        },
        onEnd() {
          if (!ended) controller.close();
          ended = true;
        },
        onError(error) {
          if (!ended) controller.error(error);
          ended = true;
        },
      });
    },
    pull() {
      session.resumeBody();
    },
    cancel() {
      // Nobody wants the rest: it is read and dropped, within the limits of the connection.
      session.readBody({ onData() {}, onEnd() {}, onError() {} });
      session.resumeBody();
    },
  });
}

function refused(status: number, message: string, cause?: unknown): CirqueError {
  return CirqueError.downstream("HTTPStatus", message, { status, ...(cause !== undefined && { cause }) });
}
