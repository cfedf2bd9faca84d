// The lock file must serve every machine: npm leaves packages of other platforms out of it when it is written over an
// existing node_modules, and then `npm ci` refuses on every machine, after the damage was committed.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { it } from "node:test";

import { projectRoot } from "./source-tree.ts";

interface Locked {
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
type Packages = Readonly<Record<string, Locked>>;

it("the lock file has every package of every platform", () => {
  const { packages } = JSON.parse(readFileSync(path.join(projectRoot, "package-lock.json"), "utf8")) as {
    readonly packages: Packages;
  };
  assert.deepEqual(faults(packages), []);
});

it("the lock file has every package: a left-out one is seen", () => {
  const packages = {
    "": { version: "0.1.0" },
    "node_modules/a": { version: "1.0.0", optionalDependencies: { "a-linux": "1.0.0", "a-darwin": "1.0.0" } },
    "node_modules/a/node_modules/a-linux": {},
  };
  assert.deepEqual(faults(packages), [
    "node_modules/a: a-darwin is not locked",
    "node_modules/a/node_modules/a-linux: no version",
  ]);
});

function faults(packages: Packages): readonly string[] {
  return Object.entries(packages).flatMap(([folder, { version, optionalDependencies }]) => [
    ...Object.keys(optionalDependencies ?? {})
      .filter((name) => !(inFolder(folder, name) in packages) && !(inFolder("", name) in packages))
      .map((name) => `${folder}: ${name} is not locked`),
    ...(version === undefined ? [`${folder}: no version`] : []),
  ]);
}

function inFolder(folder: string, name: string): string {
  return `${folder === "" ? "" : `${folder}/`}node_modules/${name}`;
}
