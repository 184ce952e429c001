import { isUtf8 } from "node:buffer";
import { accessSync, closeSync, constants, openSync, readSync } from "node:fs";
import { CirqueError } from "../errors/cirque-error.ts";
import type { ConfigurationKey } from "./configuration-keys.ts";
import { type LoadedConfiguration, parseConfiguration } from "./parse-configuration.ts";

/** The largest file that is read, in bytes. */
const largestFile = 1024 * 1024;

/**
 * Reads a YAML file of at most 1 MiB in UTF-8. See {@link parseConfiguration} for its form. Files that it names and that
 * have to be there are looked for.
 *
 * @throws CirqueError `FileReadError` when the file cannot be read; `ConfigurationError` when its content is not valid.
 */
export function loadConfiguration(file: string): LoadedConfiguration {
  return parseConfiguration(readBounded(file), file, requireFile);
}

function requireFile(key: ConfigurationKey, value: unknown): string | undefined {
  if (key.name !== "caFile") return undefined;
  try {
    accessSync(String(value), constants.R_OK);
    return undefined;
  } catch (error) {
    return `cannot read ${JSON.stringify(value)}: ${systemReason(error)}`;
  }
}

function readBounded(file: string): string {
  const bytes = readBytes(file);
  if (bytes.length > largestFile) {
    throw new CirqueError("FileReadError", `the configuration file ${file} is larger than ${largestFile} bytes`);
  }
  if (!isUtf8(bytes)) throw new CirqueError("FileReadError", `the configuration file ${file} is not UTF-8 text`);
  return bytes.toString("utf8");
}

/** Reads one byte more than is allowed at most, since the size of a device or a pipe is not known before. */
function readBytes(file: string): Buffer {
  const buffer = Buffer.alloc(largestFile + 1);
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, "r");
    let length = 0;
    while (length < buffer.length) {
      const read = readSync(descriptor, buffer, length, buffer.length - length, null);
      if (read === 0) break;
      length += read;
    }
    return buffer.subarray(0, length);
  } catch (error) {
    const message = `cannot read the configuration file ${file}: ${systemReason(error)}`;
    throw CirqueError.because("FileReadError", message, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function systemReason(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOENT") return "it does not exist";
  if (code === "EACCES" || code === "EPERM") return "permission denied";
  if (code === "EISDIR") return "it is a directory";
  return error instanceof Error ? error.message : String(error);
}
