import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A configuration file in a folder of its own, which is gone in the end. */
export class ConfigurationFile implements AsyncDisposable {
  /** @param text The content; may name other files of that folder. */
  static async create(text: string | ((folder: string) => string)): Promise<ConfigurationFile> {
    const folder = await mkdtemp(join(tmpdir(), "cirque-e2e-"));
    const file = new ConfigurationFile(folder);
    await writeFile(file.path, typeof text === "string" ? text : text(folder));
    return file;
  }

  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  get path(): string {
    return join(this.folder, "conf.yaml");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}
