import {
  CHUNKED,
  chunkSizeLine,
  lastChunk,
  ParseEvent,
  ResponseParser,
  serializeResponseHead,
  stripHopByHop,
} from "@cirque/http";

const parser = new ResponseParser();
parser.expect("GET"); // a response to HEAD would have no body
parser.push(
  Buffer.from("HTTP/1.1 200 OK\r\nServer: demo\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n"),
);
parser.push(Buffer.from("Checksum: 5d41\r\n\r\n"));

for (let event = parser.next(); event !== ParseEvent.NeedMore; event = parser.next()) {
  if (event === ParseEvent.Head && parser.head !== undefined) {
    stripHopByHop(parser.head.headers);
    const framing = parser.bodyLength === CHUNKED ? "Transfer-Encoding: chunked\r\n" : "";
    process.stdout.write(serializeResponseHead(parser.head, framing), "latin1");
  } else if (event === ParseEvent.Data) {
    process.stdout.write(`${chunkSizeLine(parser.data.length)}${parser.data.toString("latin1")}\r\n`, "latin1");
  } else {
    process.stdout.write(lastChunk(parser.trailers), "latin1");
  }
}
