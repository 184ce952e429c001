import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const installWithinMs = 20 * 60 * 1_000;

/**
 * Runs a program to its end, and returns all it printed.
 *
 * @throws Error with what it printed, when it fails or is not there
 */
export async function runToEnd(program: string, words: readonly string[], directory?: string): Promise<string> {
  const { stdout, stderr } = await run(program, words, {
    cwd: directory,
    timeout: installWithinMs,
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout + stderr;
}

/** The version in what a program prints about itself, or undefined when it is not installed. */
export async function versionOf(
  program: string,
  words: readonly string[],
  pattern: RegExp,
): Promise<string | undefined> {
  try {
    return pattern.exec(await runToEnd(program, words))?.[1];
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
