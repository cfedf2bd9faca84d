// Runs the compiled tests with node:test. `npm test -- NAME…` runs the files whose path contains one of the names, and
// none that contains one behind a minus: `npm test -- -jams`.
// POSTLANE_TEST_REQUIRE_ALL=1 turns every skip for a missing Debian package into a failure (set by .ci/run).
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
const names = process.argv.slice(2);
const wanted = names.filter((name) => !name.startsWith("-"));
const unwanted = names.filter((name) => name.startsWith("-")).map((name) => name.slice(1));
const files = ["dist/src", "dist/test"]
  .flatMap((folder) => readdirSync(path.join(root, folder), { recursive: true }).map((file) => path.join(folder, file)))
  .filter((file) => file.endsWith(".test.js"))
  .filter((file) => wanted.length === 0 || wanted.some((name) => file.includes(name)))
  .filter((file) => !unwanted.some((name) => file.includes(name)))
  .toSorted((a, b) => a.localeCompare(b));
if (files.length === 0) {
  console.error(`no test file matches ${names.join(" ")}`);
  process.exit(1);
}
// What is held against seconds runs alone, and once more if the machine was too busy.
const isTimed = (file) => file.includes("/jams-");
const runTests = (some, concurrency) =>
  spawnSync(process.execPath, ["--test", `--test-concurrency=${concurrency}`, "--test-timeout=240000", ...some], {
    cwd: root,
    stdio: "inherit",
  }).status ?? 1;

// Three files at a time: each integration file owns a server or a database of its own, and most of them wait.
const untimed = files.filter((file) => !isTimed(file));
if (untimed.length > 0) process.exitCode = runTests(untimed, 3);
for (const file of files.filter(isTimed)) {
  if (runTests([file], 1) !== 0 && runTests([file], 1) !== 0) process.exitCode = 1;
}
