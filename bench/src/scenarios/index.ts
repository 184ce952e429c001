import type { Scenario } from "../scenario.ts";
import { freshConnection } from "./fresh-connection.ts";
import { plainScenarios } from "./plain.ts";
import { post64k } from "./post-64k.ts";

/** All scenarios, in the order in which `--list` shows them and `all` runs them. */
export const scenarios: readonly Scenario[] = [...plainScenarios, freshConnection, post64k];
