import { sourceTests } from "../../vitest.shared.ts";

export default sourceTests("jwt");
