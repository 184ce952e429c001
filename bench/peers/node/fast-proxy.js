import fastProxy from "fast-proxy";
import { listen, ports } from "./listen.js";

// Of its two clients for HTTP/1.1, the faster one for every kind of response.
const { proxy } = fastProxy({ base: ports().origin, undici: {} });

listen((request, response) => {
  // Connection concerns one hop (RFC 9110, section 7.6.1). The library hands it on, and a client that closes
  // its connection would cost it that to the origin.
  delete request.headers.connection;
  proxy(request, response, request.url);
});
