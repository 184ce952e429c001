import { sourceTests } from "../../vitest.shared.ts";

export default sourceTests("l4");
