import { type Dirent, existsSync, readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, relative, resolve, sep } from "node:path";
import ts from "typescript";

/**
 * Which packages of the workspace each package may depend on, by folder name. A package that is not listed may depend
 * on none; programs (`apps/`), the facade and the end-to-end tests may depend on all.
 */
export const allowedArrows: Readonly<Record<string, readonly string[] | "all">> = {
  http: [],
  core: ["http"],
  tls: ["core"],
  "load-balancing": ["core"],
  limits: [],
  cache: ["http"],
  proxy: ["core", "http"],
  l4: ["core"],
  jwt: ["proxy", "core", "http"],
  // Not published: what tests have in common.
  testing: ["http"],
  cirque: "all",
};

/** One package of the workspace, as its `package.json` describes it. */
export interface WorkspacePackage {
  /** Name of its folder, such as `load-balancing`. */
  readonly folder: string;
  /** Folder of the workspace that it is in: `packages`, `apps`, or empty for `e2e`. */
  readonly group: string;
  readonly path: string;
  readonly name: string;
  readonly exports: readonly string[];
  readonly dependencies: ReadonlySet<string>;
  readonly devDependencies: ReadonlySet<string>;
}

/**
 * Everything in the workspace at `root` that crosses a package boundary where it may not: one message each, empty when
 * all is well. Throws when a `package.json` cannot be read.
 */
export function boundaryViolations(root: string): string[] {
  const packages = workspacePackages(root);
  const byName = new Map(packages.map((each) => [each.name, each]));
  const rootDevDependencies = namesIn(readManifest(root), "devDependencies");
  return [
    ...packages.flatMap((from) => forbiddenArrows(from, byName)),
    ...cycles(packages, byName),
    ...packages.flatMap((from) => forbiddenImports(root, from, byName, rootDevDependencies)),
  ];
}

function workspacePackages(root: string): WorkspacePackage[] {
  const folders = ["packages", "apps"].flatMap((group) =>
    entriesOf(join(root, group))
      .filter((entry) => entry.isDirectory())
      .map((entry) => ({ group, folder: entry.name, path: join(root, group, entry.name) })),
  );
  folders.push({ group: "", folder: "e2e", path: join(root, "e2e") });
  return folders
    .filter(({ path }) => existsSync(join(path, "package.json")))
    .map((place) => {
      const manifest = readManifest(place.path);
      return {
        ...place,
        name: String(manifest.name),
        exports: Object.keys(manifest.exports ?? {}),
        dependencies: new Set([...namesIn(manifest, "dependencies"), ...namesIn(manifest, "peerDependencies")]),
        devDependencies: namesIn(manifest, "devDependencies"),
      };
    });
}

function forbiddenArrows(from: WorkspacePackage, byName: ReadonlyMap<string, WorkspacePackage>): string[] {
  const allowed = from.group === "packages" ? (allowedArrows[from.folder] ?? []) : "all";
  const messages: string[] = [];
  for (const dependency of from.dependencies) {
    const to = byName.get(dependency);
    if (!to) continue;
    if (to.group === "apps" && from.group !== "") {
      messages.push(`${manifestOf(from)}: depends on the program ${to.name}. Programs are not libraries.`);
    } else if (allowed !== "all" && !allowed.includes(to.folder)) {
      const offer = allowed.length > 0 ? `only ${allowed.join(" and ")}` : "no other package";
      messages.push(`${manifestOf(from)}: ${from.folder} may depend on ${offer} of Cirque, but lists ${to.name}.`);
    }
  }
  return messages;
}

/** Every cycle is reported once, starting at its first package in alphabetical order. */
function cycles(
  packages: readonly WorkspacePackage[],
  byName: ReadonlyMap<string, WorkspacePackage>,
): readonly string[] {
  const found = new Set<string>();
  const visit = (from: WorkspacePackage, path: readonly string[]): void => {
    const start = path.indexOf(from.name);
    if (start >= 0) {
      found.add(describeCycle(path.slice(start)));
      return;
    }
    for (const dependency of [...from.dependencies, ...from.devDependencies]) {
      const to = byName.get(dependency);
      if (to) visit(to, [...path, from.name]);
    }
  };
  for (const each of packages) visit(each, []);
  return [...found];
}

function describeCycle(names: readonly string[]): string {
  const first = names.indexOf([...names].sort()[0] ?? "");
  const turned = [...names.slice(first), ...names.slice(0, first)];
  return `package.json: the packages depend on each other in a circle: ${[...turned, turned[0]].join(" -> ")}.`;
}

function forbiddenImports(
  root: string,
  from: WorkspacePackage,
  byName: ReadonlyMap<string, WorkspacePackage>,
  rootDevDependencies: ReadonlySet<string>,
): string[] {
  const messages: string[] = [];
  for (const file of sourceFiles(from.path)) {
    const test = file.endsWith(".test.ts") || !file.startsWith(join(from.path, "src") + sep) || from.folder === "e2e";
    for (const { specifier, line } of importsOf(file)) {
      const problem = specifier.startsWith(".")
        ? leavesPackage(from, file, specifier)
        : undeclared(from, specifier, byName, test ? rootDevDependencies : undefined);
      if (problem) messages.push(`${relative(root, file)}:${line}: ${problem}`);
    }
  }
  return messages;
}

function leavesPackage(from: WorkspacePackage, file: string, specifier: string): string | undefined {
  const target = resolve(dirname(file), specifier);
  if (target.startsWith(from.path + sep)) return undefined;
  return `"${specifier}" leaves the package. Import the other package by its name.`;
}

/** `testTools` are the names that tests may import besides what the package declares; undefined outside tests. */
function undeclared(
  from: WorkspacePackage,
  specifier: string,
  byName: ReadonlyMap<string, WorkspacePackage>,
  testTools: ReadonlySet<string> | undefined,
): string | undefined {
  if (isBuiltin(specifier)) return undefined;
  const name = packageNameOf(specifier);
  const declared =
    from.dependencies.has(name) ||
    name === from.name ||
    (testTools !== undefined && (testTools.has(name) || from.devDependencies.has(name)));
  if (!declared) {
    const list = testTools ? "dependencies or devDependencies" : "dependencies";
    return `imports ${name}, which is not in the ${list} of ${manifestOf(from)}.`;
  }
  const to = byName.get(name);
  if (!to) return undefined;
  const entry = specifier === name ? "." : `.${specifier.slice(name.length)}`;
  if (to.exports.includes(entry)) return undefined;
  return `"${specifier}" reaches into ${name}: its exports are ${to.exports.join(", ") || "none"}.`;
}

/** Static and dynamic imports, re-exports and type imports of one file, with the line of each. */
function importsOf(file: string): { specifier: string; line: number }[] {
  const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, false);
  const found: { specifier: string; line: number }[] = [];
  const visit = (node: ts.Node): void => {
    const specifier = importedBy(node);
    if (specifier !== undefined) {
      found.push({ specifier, line: source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1 });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function importedBy(node: ts.Node): string | undefined {
  let module: ts.Node | undefined;
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) module = node.moduleSpecifier;
  else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) module = node.argument.literal;
  else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
    module = node.arguments[0];
  return module && ts.isStringLiteralLike(module) ? module.text : undefined;
}

function sourceFiles(path: string): string[] {
  return ["src", "test"].flatMap((folder) => {
    const start = join(path, folder);
    if (!existsSync(start)) return [];
    return readdirSync(start, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => join(start, file));
  });
}

function packageNameOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function manifestOf(each: WorkspacePackage): string {
  return join(each.group, each.folder, "package.json");
}

function readManifest(path: string): Record<string, unknown> {
  const file = join(path, "package.json");
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  } catch (cause) {
    throw new Error(`${file} cannot be read as JSON: ${(cause as Error).message}`, { cause });
  }
}

function namesIn(manifest: Record<string, unknown>, key: string): Set<string> {
  return new Set(Object.keys(manifest[key] ?? {}));
}

function entriesOf(path: string): Dirent[] {
  return existsSync(path) ? readdirSync(path, { withFileTypes: true }) : [];
}
