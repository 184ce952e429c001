import { CirqueError } from "@cirque/core";
import { HeaderMap, type RequestHead, type ResponseHead } from "@cirque/http";
import type { BodyChunk } from "../../body-chunk.ts";
import type { Session } from "../../session.ts";
import { mediaTypeOf } from "../compression/compressible.ts";
import type { HttpModule, HttpModuleFactory, ModuleOptions } from "../http-module.ts";
import { Base64Decoder } from "./base64-decoder.ts";
import { FrameReader } from "./frame-reader.ts";
import { trailersFrame } from "./trailers-frame.ts";

/**
 * Lets browsers ask gRPC services (MOD-08, MOD-09): requests of gRPC-web become those of gRPC, and the trailers of a
 * response, which pages cannot read, a last frame of its body. Both forms are known, the binary one and the one in base64
 * (`application/grpc-web-text`). Other requests pass by.
 *
 * Messages flow by as they come. A request with broken frames is answered with 400; a response that ends inside a message
 * is cut, as trailers behind it would be read as a part of that.
 *
 * @example
 * const modules = [grpcWeb(), cors({ origins: ["https://app.example"], exposedHeaders: ["grpc-status", "grpc-message"] })];
 */
export function grpcWeb(options: ModuleOptions = {}): HttpModuleFactory<GrpcWeb> {
  const { name = "gRPC-web", order = 0 } = options;
  return { name, order, create: () => new GrpcWeb() };
}

/** The translation of one request. */
export class GrpcWeb implements HttpModule {
  /** Whether a request of gRPC-web is translated. Change it in `earlyRequestFilter`. */
  enabled = true;
  /** Whether the response is to be in base64; undefined for a request of another kind. */
  #asText: boolean | undefined;
  requestBodyFilter?: (session: Session, chunk: BodyChunk) => void;
  responseBodyFilter?: (session: Session, chunk: BodyChunk) => void;
  responseTrailerFilter?: (session: Session, trailers: HeaderMap) => Buffer | undefined;

  requestFilter(_session: Session, { method, headers }: RequestHead): void {
    const type = headers.get("content-type");
    const kind = WEB_TYPE.exec(mediaTypeOf(type));
    if (!this.enabled || method !== "POST" || kind === null) return;
    const isText = kind[1] !== undefined;
    const accept = headers.get("accept")?.toLowerCase() ?? "";
    this.#asText = accept.includes("application/grpc-web") ? accept.includes("application/grpc-web-text") : isText;
    headers.set("content-type", `application/grpc${kind[2] ?? ""}`);
    headers.set("te", "trailers");
    // It would say that the client takes no gRPC.
    headers.delete("accept");
    if (isText) headers.delete("content-length");
    const decoder = isText ? new Base64Decoder() : undefined;
    const frames = new FrameReader();
    this.requestBodyFilter = (_session, chunk) => readRequest(chunk, decoder, frames);
  }

  responseFilter(_session: Session, { headers }: ResponseHead): void {
    const kind = GRPC_TYPE.exec(mediaTypeOf(headers.get("content-type")));
    // What is no gRPC, such as an error of a proxy on the way, is for the client to make sense of by its status.
    if (this.#asText === undefined || kind === null) return;
    const asText = this.#asText;
    headers.set("content-type", `application/grpc-web${asText ? "-text" : ""}${kind[1] ?? ""}`);
    headers.delete("content-length");
    const frames = new FrameReader();
    let sent = false;
    const statusInHead = headers.has("grpc-status");
    this.responseBodyFilter = (_session, chunk) => {
      const { data } = chunk;
      if (data === undefined || data.length === 0) return;
      sent = true;
      try {
        frames.push(data);
      } catch (cause) {
        throw CirqueError.upstream("ReadError", "the response body is not gRPC", { cause });
      }
      if (asText) chunk.data = toBase64(data);
    };
    this.responseTrailerFilter = (_session, trailers) => {
      if (!frames.betweenFrames) throw CirqueError.upstream("ReadError", "the response ended inside a gRPC message");
      // All that there is to say stands in the head: that is what gRPC calls trailers-only.
      if (statusInHead && !sent && trailers.size === 0) return undefined;
      const frame = trailersFrame(trailers.has("grpc-status") || statusInHead ? trailers : withoutStatus(trailers));
      return asText ? toBase64(frame) : frame;
    };
  }
}

/** With the message format, as `+proto`, if it is named. */
const WEB_TYPE = /^application\/grpc-web(-text)?(\+.*)?$/;
const GRPC_TYPE = /^application\/grpc(\+.*)?$/;

function readRequest(chunk: BodyChunk, decoder: Base64Decoder | undefined, frames: FrameReader): void {
  try {
    if (chunk.data !== undefined) {
      if (decoder !== undefined) chunk.data = decoder.push(chunk.data);
      frames.push(chunk.data);
    }
  } catch (cause) {
    throw CirqueError.httpStatus(400, "the request body is not gRPC-web", { source: "downstream", cause });
  }
  if (!chunk.end || (frames.betweenFrames && decoder?.complete !== false)) return;
  throw CirqueError.httpStatus(400, "the request body ended inside a gRPC message", { source: "downstream" });
}

/** An origin that says nothing of how it went: clients of gRPC take that for UNKNOWN, and so shall those of gRPC-web. */
function withoutStatus(trailers: HeaderMap): HeaderMap {
  return new HeaderMap([["grpc-status", "2"], ["grpc-message", "the response has no status"], ...trailers]);
}

/** Padded for itself, as gRPC-web allows, so that it can be sent at once. */
function toBase64(data: Buffer): Buffer {
  return Buffer.from(data.toString("base64"), "latin1");
}
