import { everyCharacter, isToken, TARGET } from "./characters.ts";
import { type HeaderInit, HeaderMap } from "./header-map.ts";

/** The version of a message's sender. */
export type HttpVersion = "1.0" | "1.1" | "2";

/** Method, target and fields of a request (RFC 9110, 9; RFC 9112, 3). */
export class RequestHead {
  #method: string;
  #target: string;
  version: HttpVersion;
  headers: HeaderMap;
  /**
   * Whether the head may end the message when there is no body (HDR-06). With false, an empty body is sent as a body:
   * chunked over HTTP/1.1, an empty DATA frame over HTTP/2. gRPC servers want that.
   */
  sendEndStream = true;

  /** @throws TypeError for a method or target that may not be sent. */
  constructor(method: string, target: string, headers: HeaderInit | HeaderMap = [], version: HttpVersion = "1.1") {
    this.#method = checkedMethod(method);
    this.#target = checkedTarget(target);
    this.headers = headers instanceof HeaderMap ? headers : new HeaderMap(headers);
    this.version = version;
  }

  /** A head whose parts a parser has checked. */
  static adopt(method: string, target: string, headers: HeaderMap, version: HttpVersion): RequestHead {
    const head = new RequestHead("GET", "/", headers, version);
    head.#method = method;
    head.#target = target;
    return head;
  }

  get method(): string {
    return this.#method;
  }

  set method(method: string) {
    this.#method = checkedMethod(method);
  }

  /**
   * The request target as sent, byte for byte (HDR-04): `/path?query`, `http://host/path`, `host:port` or `*`
   * (RFC 9112, 3.2). Bytes above 0x7f are latin1 characters.
   */
  get target(): string {
    return this.#target;
  }

  set target(target: string) {
    this.#target = checkedTarget(target);
  }

  /** The path of the target, without query; undecoded. Empty for authority form, `*` for asterisk form. */
  get path(): string {
    const path = this.#pathAndQuery();
    const query = path.indexOf("?");
    return query === -1 ? path : path.slice(0, query);
  }

  /** The query of the target without its `?`, or an empty string. */
  get query(): string {
    const path = this.#pathAndQuery();
    const query = path.indexOf("?");
    return query === -1 ? "" : path.slice(query + 1);
  }

  /** What follows the last dot of the last segment of the path (HDR-05), such as `css`; undefined without one. */
  get fileExtension(): string | undefined {
    const path = this.path;
    const name = path.slice(path.lastIndexOf("/") + 1);
    const dot = name.lastIndexOf(".");
    return dot === -1 || dot === name.length - 1 ? undefined : name.slice(dot + 1);
  }

  /**
   * Host and port that the request is for (RFC 9112, 3.3): those of the target where it has them, else the Host field.
   * Undefined where a request of HTTP/1.0 names none.
   */
  get authority(): string | undefined {
    const target = this.#target;
    if (target.startsWith("/") || target === "*") return this.headers.get("host");
    const start = afterScheme(target);
    return start === -1 ? target : target.slice(start, endOfAuthority(target, start));
  }

  /** A copy that can be changed without changing this one. */
  clone(): RequestHead {
    const copy = RequestHead.adopt(this.#method, this.#target, this.headers.clone(), this.version);
    copy.sendEndStream = this.sendEndStream;
    return copy;
  }

  #pathAndQuery(): string {
    const target = this.#target;
    if (target.startsWith("/") || target === "*") return target;
    const authority = afterScheme(target);
    if (authority === -1) return "";
    const path = target.slice(endOfAuthority(target, authority));
    return path.startsWith("/") ? path : `/${path}`;
  }
}

/** Where the authority of an absolute target begins; -1 for an authority alone, as of CONNECT. */
function afterScheme(target: string): number {
  const colon = target.indexOf("://");
  return colon === -1 ? -1 : colon + 3;
}

function endOfAuthority(target: string, start: number): number {
  const length = target.slice(start).search(/[/?]/);
  return length === -1 ? target.length : start + length;
}

function checkedMethod(method: string): string {
  if (!isToken(method)) throw new TypeError(`${JSON.stringify(method)} is not a method (RFC 9110, 9.1)`);
  return method;
}

function checkedTarget(target: string): string {
  if (target.length === 0 || !everyCharacter(target, TARGET)) {
    throw new TypeError(
      `${JSON.stringify(target)} is not a request target: spaces, controls, "#" and characters above U+00FF have to be percent-encoded (RFC 9112, 3.2)`,
    );
  }
  return target;
}
