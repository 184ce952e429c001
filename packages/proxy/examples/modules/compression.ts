import { HttpPeer } from "@cirque/core";
import { CompressionDictionary, type HttpProxyOptions, type ProxyHttp, responseCompression } from "@cirque/proxy";

/** The former version of a page is a good dictionary for the next one. */
const formerPage = new CompressionDictionary(Buffer.from("<!doctype html><title>Prices</title>".repeat(20)));

const compression = responseCompression({ levels: { br: 5 }, dictionaries: [formerPage] });

export const options: HttpProxyOptions = { modules: [compression] };

export const callbacks: ProxyHttp = {
  earlyRequestFilter(session) {
    // Pages with secrets, and with what visitors write, stay as they are.
    if (session.request.path.startsWith("/account/")) session.module(compression).adjust({ codings: [] });
  },
  upstreamPeer: () => new HttpPeer(process.env.ORIGIN ?? "127.0.0.1:9001"),
};
