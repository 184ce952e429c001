import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { CirqueError } from "../errors/cirque-error.ts";

/**
 * The trust roots in a PEM file, as a peer or a connector takes them (CFG-12).
 *
 * @throws CirqueError `FileReadError` when the file cannot be read, `InvalidCert` when it holds no certificate.
 */
export function readTrustRoots(file: string): string {
  const text = readRoots(file);
  try {
    new X509Certificate(text);
    return text;
  } catch (error) {
    throw CirqueError.because("InvalidCert", `${file} (key caFile) must hold certificates in PEM`, error);
  }
}

function readRoots(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw CirqueError.because("FileReadError", `cannot read the trust roots in ${file} (key caFile)`, error);
  }
}
