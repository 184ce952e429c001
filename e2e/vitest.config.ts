import { builtTests } from "../vitest.shared.ts";

export default builtTests("e2e");
