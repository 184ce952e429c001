import { httpDate, ResponseHead } from "@cirque/http";

/** The head of an empty response that refuses and closes: to what is not worth a proxy's attention (H1S-33). */
export function refusalResponse(status: number): ResponseHead {
  const head = new ResponseHead(status, [
    ["Date", httpDate()],
    ["Content-Length", "0"],
    ["Cache-Control", "private, no-store"],
    ["Connection", "close"],
  ]);
  if (status === 405) head.headers.append("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  return head;
}
