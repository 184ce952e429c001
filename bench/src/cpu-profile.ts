/** The parts of a .cpuprofile file that are read here, as V8's inspector protocol defines them. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      /** Counted from 0. */
      readonly lineNumber: number;
    };
  }[];
  /** The node that was on top at each sample. */
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

/** Where a function's time belongs. */
export type ProfileGroup =
  | "own code"
  | "dependencies"
  | "node internals"
  | "native calls"
  | "(program)"
  | "(garbage collector)"
  | "(idle)";

/** Self time of one function. */
export interface ProfileEntry {
  readonly name: string;
  /** File and line, or nothing for native code. */
  readonly place: string;
  readonly group: ProfileGroup;
  readonly micros: number;
}

/** Self time of each function, and of each group; the longest first. */
export interface ProfileSummary {
  readonly functions: readonly ProfileEntry[];
  readonly groups: readonly { readonly group: ProfileGroup; readonly micros: number }[];
  /** All time but the idle. */
  readonly activeMicros: number;
}

/** Adds up the self time of a profile by function and by group. */
export function summarizeProfile(profile: CpuProfile): ProfileSummary {
  const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  const functions = new Map<string, ProfileEntry>();
  const groups = new Map<ProfileGroup, number>();
  let activeMicros = 0;
  for (const [index, id] of profile.samples.entries()) {
    const frame = frames.get(id);
    // The clock of a profile may step back between two samples.
    const micros = Math.max(0, profile.timeDeltas[index] ?? 0);
    if (frame === undefined) continue;
    const group = groupOf(frame.functionName, frame.url);
    const name = frame.functionName || "(anonymous)";
    const place = frame.url === "" ? "" : `${shortened(frame.url)}:${frame.lineNumber + 1}`;
    const key = `${name} ${place}`;
    functions.set(key, { name, place, group, micros: (functions.get(key)?.micros ?? 0) + micros });
    groups.set(group, (groups.get(group) ?? 0) + micros);
    if (group !== "(idle)") activeMicros += micros;
  }
  return {
    functions: [...functions.values()].sort((left, right) => right.micros - left.micros),
    groups: [...groups].map(([group, micros]) => ({ group, micros })).sort((left, right) => right.micros - left.micros),
    activeMicros,
  };
}

function groupOf(functionName: string, url: string): ProfileGroup {
  if (functionName === "(program)" || functionName === "(garbage collector)" || functionName === "(idle)") {
    return functionName;
  }
  if (url === "") return "native calls";
  if (url.startsWith("node:")) return "node internals";
  return url.includes("/node_modules/") ? "dependencies" : "own code";
}

/** The last parts of a file's address: enough to find it, short enough for a column. */
function shortened(url: string): string {
  return url.startsWith("node:") ? url : url.split("/").slice(-3).join("/");
}
