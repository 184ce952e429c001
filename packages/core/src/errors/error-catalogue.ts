/**
 * Every error code and what it means, one line each (`ERR-02`). The names that Pingora has keep its spelling.
 */
export const errorCatalogue = {
  ConnectTimedout: "The connection to the peer was not made in time",
  ConnectRefused: "The peer refused the connection",
  ConnectNoRoute: "The network or the host of the peer cannot be reached",
  ConnectError: "The connection to the peer failed for another reason",
  ConnectProxyFailure: "The proxy on the way to the peer refused the tunnel",
  TLSWantX509Lookup: "The certificate to present was not available during the handshake",
  TLSHandshakeFailure: "The TLS handshake failed",
  TLSHandshakeTimedout: "The TLS handshake was not finished in time",
  InvalidCert: "The certificate of the peer is not valid for it",
  HandshakeError: "A handshake other than that of TLS failed",
  BindError: "The address to listen on could not be bound",
  AcceptError: "An arriving connection could not be accepted",
  SocketError: "An option or a property of a socket could not be set or read",
  InvalidHTTPHeader: "The HTTP message head is malformed or exceeds a limit",
  H1Error: "HTTP/1.x was violated after a valid head",
  H2Error: "HTTP/2 was violated, or the stream was reset",
  H2Downgrade: "The peer asked to repeat the request over HTTP/1.1",
  InvalidH2: "The peer does not speak HTTP/2 although it was expected to",
  ReadError: "Reading from the connection failed",
  WriteError: "Writing to the connection failed",
  ReadTimedout: "Nothing was received in time",
  WriteTimedout: "The peer did not take the data in time",
  ConnectionClosed: "The connection was closed before the exchange was complete",
  HTTPStatus: "An answer with the HTTP status in `status` has to be sent",
  FileOpenError: "A file could not be opened",
  FileCreateError: "A file could not be created",
  FileReadError: "A file could not be read",
  FileWriteError: "A file could not be written",
  InvalidArgument: "A value given by the calling code is not acceptable",
  InvalidConfiguration: "The configuration is not valid",
  InvalidCommandLine: "The command line is not valid",
  UpgradeError: "The running server could not be replaced by a new process",
  InternalError: "Something that should not happen did happen",
  UnknownError: "The cause is not known",
  Custom: "An error of the application, named in `custom`",
  CustomCode: "An error of the application, named in `custom`, with a number in `status`",
} as const;

/** A key of {@link errorCatalogue}. */
export type ErrorCode = keyof typeof errorCatalogue;
