import { basicAuthentication, type HttpProxyOptions, hashPassword } from "@cirque/proxy";

/** Hashes belong in a file; make them once with `hashPassword`. */
const users = { ann: await hashPassword("a password") };

export const options: HttpProxyOptions = { modules: [basicAuthentication({ users, realm: "staff" })] };
