/**
 * Whether `text` is a list of chunk extensions (RFC 9112, 7.1.1): `;name`, `;name=token`, `;name="quoted string"`.
 *
 * Extensions mean nothing to us and are dropped, but not unread: to a reader that knows quoted strings, one that is
 * open at the CRLF goes on behind it, and the next chunk is another one. The white space that the grammar tolerates
 * around `;` and `=` is refused, as by most servers.
 */
export function isChunkExtension(text: string): boolean {
  return EXTENSIONS.test(text);
}

/** Each part starts with a character that no part before it can take, so matching costs one pass. */
const EXTENSIONS: RegExp =
  /^(?:;[!#$%&'*+.^_`|~\w-]+(?:=(?:[!#$%&'*+.^_`|~\w-]+|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"))?)+$/;
