// `npm run demo`: says what is going to happen, lets it happen, and shows what came of it. Exit code 0 only when the
// sink's ledger and Postlane's books agree about every message.

import { Interrupted, interruption } from "../bench/interruption.ts";
import { printFigures, type DemoFigures } from "./demo-figures.ts";
import { runDemo } from "./demo-run.ts";
import { createLiveProgress, print } from "./live-progress.ts";
import { SCRIPTS_COUNT } from "./readers.ts";

const READERS = 20_000;
const RESETS = 200;
const EXIT_INTERRUPTED = 130;

async function main(): Promise<number> {
  const startedAt = performance.now();
  const progress = createLiveProgress(process.stdout);
  for (const line of INTRODUCTION) progress.say(line);
  try {
    const figures = await runDemo({ readers: READERS, resets: RESETS, progress, interrupted: interruption() });
    progress.end();
    const isRight = figures.verdict.isClean && figures.verdict.accepted === READERS + RESETS;
    for (const line of conclusion(figures, isRight)) progress.say(line);
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    progress.say(`\nThe demo took ${seconds} s; its folder, its database and its processes are gone.`);
    return isRight ? 0 : 1;
  } catch (error) {
    progress.end();
    if (error instanceof Interrupted) {
      progress.say("\nStopped. The demo's folder, its database and its processes are gone.");
      return EXIT_INTERRUPTED;
    }
    console.error(`\nThe demo could not be finished: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
}

const INTRODUCTION = [
  "Postlane: a newsletter, two hundred password resets, and a crash",
  "",
  "This is going to happen, in a temporary folder, by the same commands that you would type:",
  `  - \`postlane up\` starts a PostgreSQL of its own and one process for each lane;`,
  `  - \`postlane campaign send\` sends a newsletter in text and HTML to ${print(READERS)} invented readers, from a`,
  `    CSV file with names in ${SCRIPTS_COUNT} scripts;`,
  `  - meanwhile ${RESETS} password resets are enqueued by SQL, each in a transaction of its own, and overtake it;`,
  "  - half way the newsletter's process is killed with SIGKILL, and the supervisor starts a new one;",
  "  - at the end, what Postlane wrote down is compared with the ledger of the mail server that took the mail.",
  "Nothing leaves this machine, and nothing stays on it. It takes less than a minute.",
  "",
];

function conclusion(figures: DemoFigures, isRight: boolean): readonly string[] {
  const { verdict, unknowns } = figures;
  return [
    "",
    ...printFigures(figures),
    "",
    ...tellUnknowns(unknowns),
    ...tellVerdict(verdict.complaints, isRight),
    "",
    ...NEXT,
  ];
}

function tellUnknowns(unknowns: readonly string[]): readonly string[] {
  if (unknowns.length === 0)
    return ["No hand-over was left open by the crash: every reply was written down in time.", ""];
  return [
    "Unknown are the messages whose final dot may have been sent, and whose reply died with the dispatcher. SMTP cannot",
    "say more, so Postlane does not guess: in lane bulk they wait for you (`postlane unknown list`). Here the ledger knows:",
    ...unknowns.map((line) => `  ${line}`),
    "",
  ];
}

function tellVerdict(complaints: readonly string[], isRight: boolean): readonly string[] {
  if (isRight) return ["The ledger and the books agree about every message: nothing lost, nothing doubled."];
  return ["The ledger and the books do NOT agree:", ...complaints.map((line) => `  ${line}`)];
}

const NEXT = [
  "Where to go next:",
  "  npx postlane up                        run it here; mail is kept on this machine until you name a relay",
  "  npx postlane send --to ann@example.com --subject Hello --text 'Hello Ann'",
  "  npm run crash -- --kills 15            kill everything, not only one process, and count again",
];

// What an interrupted demo left under way must not keep the process.
process.exit(await main());
