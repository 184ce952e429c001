import { promises as fs } from "node:fs";

/** The names in a file such as `/etc/hosts` (hosts(5)), read again whenever the file has changed. */
export class HostsFile {
  readonly #path: string;
  #names: ReadonlySet<string> = new Set();
  #version = "";

  constructor(path = "/etc/hosts") {
    this.#path = path;
  }

  /** @param name In lower case. */
  async has(name: string): Promise<boolean> {
    try {
      const { mtimeMs, size, ino } = await fs.stat(this.#path);
      const version = `${mtimeMs} ${size} ${ino}`;
      if (version !== this.#version) {
        this.#names = namesIn(await fs.readFile(this.#path, "utf8"));
        this.#version = version;
      }
    } catch {
      // A machine without the file, or one that we may not read, has no such names.
      return false;
    }
    return this.#names.has(name);
  }
}

function namesIn(text: string): Set<string> {
  const names = new Set<string>();
  for (const line of text.split("\n")) {
    const words = line.split("#", 1)[0]?.trim().toLowerCase().split(/\s+/) ?? [];
    for (const name of words.slice(1)) names.add(name);
  }
  return names;
}
