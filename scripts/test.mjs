// Runs the compiled tests with node:test. `npm test -- NAME…` runs the files whose path contains one of the names, and
// none that contains one behind a minus: `npm test -- -jams`.
// POSTLANE_TEST_REQUIRE_ALL=1 turns every skip for a missing Debian package into a failure (set by .ci/run).
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
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
// What is held against seconds, of real mailers or by the clock, runs apart, two at a time, from the end of the alphabet: its
// short files come last, and no core waits for a long one. The jams go before them by themselves: that a machine is full is
// a jam too, and others would make it. The longest of them is left alone at its end, where it fills the machine.
const isJam = (file) => file.includes("/jams-");
const isTimed = (file) => /\/(?:home-|explain|road-pace|road-fairness)/.test(file);
// The fuzz tests ask a database, too.
const isUnit = (file) => !/\/test\/(?:fuzz|integration|scenarios)\//.test(file);
/** No file takes half of it where nothing hangs. */
const FILE_MS_MAX = 240_000;

// Hundreds of units share three processes: to start one for each takes longer than they do.
const units = files.filter(isUnit);
const shares = [0, 1, 2].map((n) => units.filter((_, index) => index % 3 === n)).filter((share) => share.length > 0);
const statuses = await Promise.all(
  shares.map((share, n) => runAlone(`units, part ${n + 1} of ${shares.length},`, ["scripts/run-here.mjs", ...share])),
);
if (statuses.some((status) => status !== 0)) process.exitCode = 1;
// Five files at a time: each integration file owns a server or a database of its own, and most of them wait. What they
// wait for is real servers, so on a machine that is too busy a file gets a second chance, and is named at the end.
const again = [];
const servers = files.filter((file) => !isUnit(file));
if (servers.length > 1) await makeTemplate();
await runTwice(
  servers.filter((file) => !isJam(file) && !isTimed(file)),
  5,
);
await runTwice(servers.filter(isJam), 3);
await runTwice(servers.filter(isTimed).toReversed(), 2);
for (const file of again) console.log(`ran a second time, since the first one failed: ${file}`);

/** One cluster, initialised and migrated, that the files copy. */
async function makeTemplate() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-template-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));
  // The server does not run as root.
  chmodSync(folder, 0o711);
  const { makePostgresTemplate } = await import("../dist/test/rig/postgres-template.js");
  await makePostgresTemplate(folder);
  process.env.POSTLANE_TEST_TEMPLATE = folder;
}

/** Each file in a process of its own; what it says is printed when it ends, so that two do not talk at once. */
async function runTwice(some, concurrency) {
  const waiting = [...some];
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      if ((await runAlone(file, [file])) === 0) continue;
      again.push(file);
      if ((await runAlone(file, [file])) !== 0) process.exitCode = 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
}

/** `name`: for people. Answers the exit code. */
function runAlone(name, args) {
  const beganAt = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"],
      timeout: FILE_MS_MAX,
      killSignal: "SIGKILL",
    });
    const said = [];
    child.stdout.on("data", (piece) => said.push(piece));
    child.once("close", (status) => {
      const seconds = ((performance.now() - beganAt) / 1000).toFixed(1);
      process.stdout.write(Buffer.concat([Buffer.from(`# ${name} took ${seconds} s\n`), ...said]));
      if (status === null) console.log(`# ${name} was ended after ${FILE_MS_MAX / 1000} s`);
      resolve(status ?? 1);
    });
  });
}
