// The codebase as data: its files, their text, and what each imports. Reads only what git tracks or would track, so
// that build output and dependencies are no part of it. Reads imports by pattern, not with a compiler: our own style
// (double quotes, one statement per line) is all that it has to know.

import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";

export interface SourceFile {
  /** From the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
  /** The file it leads to, from the root, or undefined for a package. */
  readonly target: string | undefined;
}

export const projectRoot = findProjectRoot(import.meta.dirname);

/** The compiled test lies in an output folder, the sources above it. */
function findProjectRoot(folder: string): string {
  if (existsSync(path.join(folder, "tsconfig.json"))) return folder;
  const parent = path.dirname(folder);
  if (parent === folder) throw new Error("no tsconfig.json above the tidy tests");
  return findProjectRoot(parent);
}

/** Text files under one of `folders` (all, if none is named) whose name ends in one of `endings`. */
export function readFiles(folders: readonly string[], endings: readonly string[]): readonly SourceFile[] {
  return trackedPaths()
    .filter((file) => folders.length === 0 || folders.some((folder) => file.startsWith(`${folder}/`)))
    .filter((file) => endings.some((ending) => file.endsWith(ending)))
    .map((file) => ({ path: file, text: readFileSync(path.join(projectRoot, file), "utf8") }));
}

export function trackedPaths(): readonly string[] {
  return listed().filter((file) => lstatSync(path.join(projectRoot, file), { throwIfNoEntry: false })?.isFile());
}

function listed(): readonly string[] {
  if (!existsSync(path.join(projectRoot, ".git"))) return walk(".");
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const output = execFileSync("git", args, { cwd: projectRoot, encoding: "utf8", maxBuffer: 64 * 2 ** 20 });
  return output.split("\0").filter((file) => file !== "");
}

/** An unpacked archive has no git; its output folders are known by name. */
function walk(folder: string): readonly string[] {
  return readdirSync(path.join(projectRoot, folder), { withFileTypes: true })
    .filter((entry) => !/^(?:node_modules|dist.*|\.git|postlane-data)$/.test(entry.name))
    .map((entry) => ({ entry, file: path.posix.join(folder, entry.name) }))
    .flatMap(({ entry, file }) => (entry.isDirectory() ? walk(file) : [file]));
}

/** `src/` without the tests that lie beside the code. */
export function productionFiles(): readonly SourceFile[] {
  return readFiles(["src"], [".ts"]).filter((file) => !file.path.endsWith(".test.ts"));
}

export function importsOf(file: SourceFile): readonly Import[] {
  const code = withoutComments(file.text);
  const statements = code.matchAll(/^\s*(?:import|export)\b(\s+type\b)?[^;"']*?\bfrom\s+"([^"]+)"/gm);
  const bare = code.matchAll(/^\s*import(\s+type\b)?\s+"([^"]+)"/gm);
  const dynamic = code.matchAll(/\bimport\((\s*)"([^"]+)"\s*\)/g);
  return [...statements, ...bare, ...dynamic].map(([, type, specifier = ""]) => ({
    specifier,
    typeOnly: type?.trim() === "type",
    target: specifier.startsWith(".") ? path.posix.join(path.posix.dirname(file.path), specifier) : undefined,
  }));
}

/** Good enough for our style; a `//` behind a colon is taken for an address. */
export function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|[^:"'`\\])\/\/[^\n]*/g, "$1");
}

/** The folder of `src/` that a path lies in: "mail" for src/mail/state.ts. */
export function stationOf(file: string): string | undefined {
  return /^src\/([^/]+)\//.exec(file)?.[1];
}
