// Everything that must hold before a commit, in the order of how fast it answers; the same here and in CI.
import { spawnSync } from "node:child_process";

const steps = [
  ["format", ["npx", "--no-install", "oxfmt", "--check"]],
  ["types", ["npm", "run", "--silent", "build"]],
  ["lint", ["npx", "--no-install", "oxlint", "--type-aware", "--deny-warnings"]],
  ["dead code", ["npx", "--no-install", "knip"]],
  ["tests", ["node", "scripts/test.mjs"]],
];
for (const [name, [command, ...args]] of steps) {
  console.log(`check: ${name}`);
  const step = spawnSync(command, args, { stdio: "inherit" });
  if (step.status !== 0) {
    console.error(`check: ${name} failed`);
    process.exit(step.status ?? 1);
  }
}
console.log("check: everything holds");
