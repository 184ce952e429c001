import fastProxy from "fast-proxy";
import { listen, ports } from "./listen.js";

const { proxy } = fastProxy({ base: ports().origin, undici: process.env.UNDICI ? {} : undefined });

listen((request, response) => proxy(request, response, request.url));
