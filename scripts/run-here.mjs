// Runs test files in this one process: `node scripts/run-here.mjs FILE…`. Hundreds of small files would take longer to start
// a process each than to run. Each is a suite of its own, so that its hooks are, too.
import { describe } from "node:test";
import path from "node:path";

for (const file of process.argv.slice(2)) void describe(file, () => import(path.resolve(file)));
