import { readFile, writeFile } from "node:fs/promises";

/**
 * Copies a configuration file and puts in the values for its `${NAME}` places.
 *
 * @throws Error when the file names a value that is not given
 */
export async function fillTemplate(
  from: URL,
  to: string,
  values: Readonly<Record<string, string | number>>,
): Promise<void> {
  const template = await readFile(from, "utf8");
  const filled = template.replaceAll(/\$\{([A-Z_]+)\}/g, (_place, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${from.pathname} names \${${name}}, which has no value`);
    return String(value);
  });
  await writeFile(to, filled);
}
