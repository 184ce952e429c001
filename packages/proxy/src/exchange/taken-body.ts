import { CirqueError } from "@cirque/core";
import { BodyPipe } from "../memory/body-pipe.ts";
import type { RetryBuffer } from "./retry-buffer.ts";
import type { Upload } from "./upload.ts";

/** The request body in the hands of a callback: behind all filters, and kept for an origin as for another attempt. */
export class TakenBody {
  readonly #pipe: BodyPipe;
  readonly #kept: RetryBuffer | undefined;

  /** @param onError The body, or a filter of it, failed. */
  constructor(upload: Upload, kept: RetryBuffer | undefined, onError: (error: unknown) => void) {
    this.#kept = kept;
    this.#pipe = new BodyPipe(
      () => upload.onWritable(),
      () => upload.stop(),
    );
    upload.start(this.#pipe).catch(onError);
  }

  get stream(): ReadableStream<Uint8Array> {
    return this.#pipe.stream;
  }

  /**
   * An origin gets the body: from its beginning, as long as that was kept.
   *
   * @throws CirqueError `InvalidArgument` when it was not.
   */
  giveBack(): void {
    if (this.#kept?.truncated) {
      throw CirqueError.internal(
        "InvalidArgument",
        "a callback has read the request body, which is longer than `retryBufferBytes`: no origin can be sent it",
      );
    }
    this.fail(CirqueError.internal("InvalidArgument", "the request body went to an origin"));
  }

  /** Nobody gets more of it. */
  fail(error: CirqueError): void {
    this.#pipe.fail(error);
  }
}
