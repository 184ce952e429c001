import { sourceTests } from "../../vitest.shared.ts";

export default sourceTests("dns-proxy");
