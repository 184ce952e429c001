import { ParseEvent, RequestParser, stripHopByHop } from "@cirque/http";

const parser = new RequestParser();
parser.push(Buffer.from("POST /upload HTTP/1.1\r\nHost: example.com\r\nConnection: x-trace\r\nX-Trace: 1\r\n"));
parser.push(Buffer.from("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));

for (let event = parser.next(); event !== ParseEvent.NeedMore; event = parser.next()) {
  if (event === ParseEvent.Head && parser.head !== undefined) {
    stripHopByHop(parser.head.headers);
    console.log(parser.head.method, parser.head.path, parser.head.headers.toJSON());
  } else if (event === ParseEvent.Data) {
    console.log("data:", parser.data.toString());
  } else {
    console.log("end");
  }
}
