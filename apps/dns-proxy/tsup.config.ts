import { defineConfig } from "tsup";
import { programBuild } from "../../tsup.shared.ts";

export default defineConfig(programBuild());
