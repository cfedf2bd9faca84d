// Everything that must hold before a commit, in the order of how fast it answers; the same here and in CI.
import { spawnSync } from "node:child_process";

const steps = [
  { name: "format", command: "npx --no-install oxfmt --check" },
  { name: "types", command: "npm run --silent build" },
  { name: "lint", command: "npx --no-install oxlint --type-aware --deny-warnings" },
  { name: "dead code", command: "npx --no-install knip" },
  { name: "tests", command: "node scripts/test.mjs" },
];
for (const { name, command } of steps) {
  console.log(`check: ${name}`);
  const [program = "", ...args] = command.split(" ");
  const step = spawnSync(program, args, { stdio: "inherit" });
  if (step.status !== 0) {
    console.error(`check: ${name} failed`);
    process.exit(step.status ?? 1);
  }
}
console.log("check: everything holds");
