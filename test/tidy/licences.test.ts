// Whoever takes Postlane takes its packages too: every one that is installed must have a permissive licence. Packages
// for other platforms stand in the lock file and are not installed; they come from the same makers as ours.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { it } from "node:test";

import { projectRoot } from "./source-tree.ts";

const PERMISSIVE: ReadonlySet<string> = new Set([
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "CC0-1.0",
  "ISC",
  "MIT",
  "MIT-0",
  "PostgreSQL",
  "Python-2.0",
  "Unlicense",
  "Zlib",
]);

interface Manifest {
  readonly license?: string | { readonly type?: string };
  readonly licenses?: readonly { readonly type?: string }[];
}

it("every installed package has a permissive licence", () => {
  const installed = lockedPackages().filter((folder) => existsSync(manifestOf(folder)));
  assert.ok(installed.length > 0, "no package is installed");
  const others = installed
    .map((folder) => ({ folder, licence: licenceOf(JSON.parse(readFileSync(manifestOf(folder), "utf8")) as Manifest) }))
    .filter(({ licence }) => !isPermissive(licence));
  assert.deepEqual(others, []);
});

it("a choice of licences needs one that fits, a sum needs all", () => {
  assert.equal(isPermissive("(MIT OR GPL-3.0)"), true);
  assert.equal(isPermissive("MIT AND GPL-3.0"), false);
  assert.equal(isPermissive("none given"), false);
});

function lockedPackages(): readonly string[] {
  const text = readFileSync(path.join(projectRoot, "package-lock.json"), "utf8");
  const lock = JSON.parse(text) as { readonly packages: Readonly<Record<string, unknown>> };
  return Object.keys(lock.packages).filter((folder) => folder !== "");
}

function manifestOf(folder: string): string {
  return path.join(projectRoot, folder, "package.json");
}

function licenceOf({ license, licenses }: Manifest): string {
  if (typeof license === "string") return license;
  return license?.type ?? licenses?.map(({ type }) => type ?? "").join(" OR ") ?? "none given";
}

function isPermissive(licence: string): boolean {
  return licence
    .replaceAll(/[()]/g, "")
    .split(/\s+OR\s+/)
    .some((choice) => choice.split(/\s+AND\s+/).every((one) => PERMISSIVE.has(one.trim())));
}
