import { CirqueError, type ClientSession, Deadline } from "@cirque/core";
import type { ResponseHead } from "@cirque/http";
import { Download } from "./download.ts";
import { tunnelStages } from "./download-stage.ts";
import type { Exchange } from "./exchange.ts";
import { Upload } from "./upload.ts";

/**
 * After a 101: bytes both ways, until both sides have ended (TR-09; RFC 9110, 7.8). A side that ends is a half-closed
 * connection to the other. The body filters see the bytes.
 */
export async function runTunnel<Ctx>(
  exchange: Exchange<Ctx>,
  upstream: ClientSession,
  response: ResponseHead,
): Promise<void> {
  const { downstream, environment, session, ctx } = exchange;
  const { callbacks } = environment;
  const filter = callbacks.requestBodyFilter;
  const fail = (error: unknown): void => {
    download.fail(error);
    upload.fail(error);
  };
  const idle = new Deadline(() =>
    fail(CirqueError.downstream("ReadTimedout", "the tunnel was idle for too long", { context: { idle: true } })),
  );
  const touch = (): void => idle.set(environment.tunnelIdleTimeoutMs);
  const upload = new TunnelUpload(
    downstream,
    (chunk) => {
      touch();
      return filter?.call(callbacks, session, chunk, ctx);
    },
    undefined,
    fail,
  );
  const download = new Download(upstream, downstream, [
    { body: () => touch(), trailers: undefined },
    ...tunnelStages(exchange),
  ]);
  upstream.observer = upload;
  downstream.observer = {
    onWritable: () => download.onWritable(),
    onAbort: (error) => {
      session.clientGone(error);
      fail(error);
    },
  };
  downstream.upgrade(response);
  upstream.upgrade();
  downstream.flush();
  touch();
  try {
    upstream.readBody(download);
    await Promise.all([upload.start(upstream), upload.completion(), download.completion()]);
  } catch (error) {
    upstream.abort(
      error instanceof CirqueError ? error : CirqueError.internal("InternalError", "a tunnel failed", { cause: error }),
    );
    throw error;
  } finally {
    idle.dispose();
  }
}

/** An upload that says when it is over. */
class TunnelUpload extends Upload {
  readonly #over = Promise.withResolvers<void>();

  completion(): Promise<void> {
    return this.#over.promise;
  }

  fail(error: unknown): void {
    this.#over.reject(error);
  }

  override onEnd(): void {
    super.onEnd(undefined);
    this.#over.resolve();
  }
}
