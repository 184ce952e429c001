/** Reads one response that is framed by Content-Length, and counts its body without keeping it. */
export class ResponseReader {
  /** 0 while the head is not whole. */
  status = 0;
  /** Whether the server will close the connection after it. */
  closes = false;
  /** Body bytes that came; more than were announced when the server sent too much. */
  bodyBytes = 0;
  #length = 0;
  #head = "";

  /** Whether anything has come. */
  get begun(): boolean {
    return this.#head !== "";
  }

  /** Whether all of it has come. */
  get done(): boolean {
    return this.status !== 0 && this.bodyBytes >= this.#length;
  }

  /**
   * Takes the next bytes of the connection.
   *
   * @throws SyntaxError when it has no status or no Content-Length
   */
  read(chunk: Buffer): void {
    if (this.status !== 0) {
      this.bodyBytes += chunk.length;
      return;
    }
    this.#head += chunk.toString("latin1");
    const end = this.#head.indexOf("\r\n\r\n");
    if (end === -1) return;
    const head = this.#head.slice(0, end + 2);
    const status = /^HTTP\/1\.1 (\d{3})[ \r]/.exec(head)?.[1];
    const length = /\r\ncontent-length: *(\d+) *\r\n/i.exec(head)?.[1];
    if (status === undefined || length === undefined) {
      throw new SyntaxError(`not a response with a Content-Length: ${JSON.stringify(head.slice(0, 200))}`);
    }
    this.status = Number(status);
    this.closes = /\r\nconnection: *close *\r\n/i.test(head);
    this.#length = Number(length);
    this.bodyBytes = this.#head.length - end - 4;
    this.#head = head;
  }
}
