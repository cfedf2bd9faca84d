// The demo as a story: a newsletter goes out by the real commands and processes, password resets overtake it, its
// dispatcher is killed half way, and at the end the sink's ledger is laid beside Postlane's books. Everything lives in a
// temporary folder, which is gone afterwards, with every process, also when something fails or Ctrl-C is pressed.

import { spawn } from "node:child_process";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readBooks, readDepth } from "../faults/rig/books-store.ts";
import { makeInstallation, type Installation, type Supervisor } from "../bench/installation.ts";
import { sendSignal } from "../bench/running-processes.ts";
import { openLedger, type Reception } from "../bench/sink-ledger.ts";
import { openSiteDatabase } from "../bench/site-database.ts";
import { startTruthSink } from "../bench/truth-sink.ts";
import { inScope, type Scope } from "../test/rig/scope.ts";
import { figuresOf, type DemoFigures } from "./demo-figures.ts";
import { print, type LiveProgress } from "./live-progress.ts";
import { writeReaders } from "./readers.ts";
import { startResets, type Resets } from "./resets.ts";

export interface DemoOptions {
  readonly readers: number;
  readonly resets: number;
  readonly progress: LiveProgress;
  /** Rejects when somebody wants it to end. */
  readonly interrupted: Promise<never>;
  /** Where its temporary folder is made, if not with the others. */
  readonly inFolder?: string;
}

/** Far more than a demo takes; what is not settled by then never will be. */
const RUN_MS_MAX = 120_000;
const LOOK_MS = 5;
/** How long the rate looks back. */
const RATE_MS = 1000;

export async function runDemo(options: DemoOptions): Promise<DemoFigures> {
  return await inScope((scope) => Promise.race([wholeDemo(scope, options), options.interrupted]));
}

async function wholeDemo(scope: Scope, options: DemoOptions): Promise<DemoFigures> {
  const stage = await setStage(scope, options);
  const resets = startResets(stage.installation.dataDir, options.resets, () => stage.sent() / options.readers);
  const campaign = sendNewsletter(scope, stage, options.progress);
  await Promise.race([watchRun(stage, resets, options), campaign.failed, stage.supervisor.unexpectedEnd]);
  await campaign.done;
  await resets.done;
  await untilSettled(stage);
  const figures = await compare(stage, resets);
  const code = await stage.supervisor.stop();
  if (code !== 0) throw new Error(`postlane up ended with ${code}:\n${stage.supervisor.printed()}`);
  return figures;
}

interface Stage {
  readonly installation: Installation;
  readonly supervisor: Supervisor;
  readonly listFile: string;
  readonly readers: readonly string[];
  readonly receptions: readonly Reception[];
  /** Reads what is new in the ledger. */
  look(): void;
  /** Newsletters in the ledger, as of the last look. */
  sent(): number;
}

async function setStage(scope: Scope, { readers: count, progress, inFolder }: DemoOptions): Promise<Stage> {
  const installation = makeInstallation(scope, "demo", inFolder);
  const sink = await startTruthSink(path.join(installation.folder, "ledger"));
  scope.after(() => sink.stop());
  installation.configure(configFor(sink.port));
  const listFile = path.join(installation.folder, "readers.csv");
  const readers = await writeReaders(listFile, count);
  progress.say(`  readers.csv is written: ${print(count)} rows`);
  const supervisor = await installation.up();
  progress.say("  postlane up: the database and both lanes are ready");
  const ledger = openLedger(sink.ledgerFile);
  scope.after(() => ledger.close());
  const receptions: Reception[] = [];
  let sent = 0;
  return {
    installation,
    supervisor,
    listFile,
    readers,
    receptions,
    look() {
      for (const reception of ledger.next()) {
        receptions.push(reception);
        if (reception.recipient.startsWith("reader")) sent++;
      }
    },
    sent: () => sent,
  };
}

function configFor(port: number): string {
  return `
from: "The Shop <hello@shop.example>"
lanes:
  transactional: { outlets: [relay] }
  bulk: { outlets: [relay] }
outlets:
  relay: { type: smtp, hosts: ["127.0.0.1:${port}"], tls: "off", helo_name: demo.example }
`;
}

/** By the command that a person would type. */
function sendNewsletter(scope: Scope, { installation, listFile }: Stage, progress: LiveProgress) {
  const template = path.join(import.meta.dirname, "newsletter");
  const { file, args } = installation.command("campaign", "send", "--list", listFile, "--template", template, "--json");
  const child = spawn(file, args, { env: installation.env, stdio: ["ignore", "pipe", "pipe"] });
  scope.after(() => void child.kill("SIGKILL"));
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (said += text));
  const done = new Promise<void>((resolve, reject) => {
    child.once("close", (code) => {
      if (code !== 0) return reject(new Error(`postlane campaign send ended with ${code}: ${said.trim()}`));
      progress.say("  postlane campaign send: the list is imported, and the campaign runs");
      resolve();
    });
  });
  const failed = done.then(() => new Promise<never>(() => {}));
  failed.catch(() => {});
  return { done, failed };
}

/** Until every newsletter that can arrive has arrived; half way the dispatcher is killed. */
async function watchRun(
  stage: Stage,
  resets: Resets,
  { readers, resets: resetsTotal, progress }: DemoOptions,
): Promise<void> {
  const books = openSiteDatabase(stage.installation.dataDir);
  const rate = createRate();
  const deadline = performance.now() + RUN_MS_MAX;
  let kill: { readonly atMs: number; readonly connection: number; isAnswered: boolean } | undefined;
  for (let looks = 1; ; looks++) {
    stage.look();
    const sent = stage.sent();
    if (sent > 0)
      progress.show({ sent, total: readers, perS: rate(sent), resets: resets.committed.length, resetsTotal });
    if (kill === undefined && sent >= readers / 2) kill = killDispatcher(stage, progress);
    if (kill !== undefined && !kill.isAnswered) tellRecovery(stage, kill, progress);
    // The ledger tells when it could be over; whether it is, the books are asked now and then.
    if (kill !== undefined && looks % 20 === 0 && (await isOver(books, sent, readers))) break;
    if (performance.now() > deadline)
      throw new Error(`after ${RUN_MS_MAX / 1000} s only ${sent} newsletters had arrived`);
    await sleep(LOOK_MS);
  }
  await books.close();
  progress.end();
}

function killDispatcher({ installation, sent, receptions }: Stage, progress: LiveProgress) {
  const dispatcher = installation.dispatchersOf("bulk").at(-1);
  if (dispatcher === undefined) throw new Error("no dispatcher of lane bulk is there to be killed");
  const atMs = performance.timeOrigin + performance.now();
  sendSignal(dispatcher.pid, "SIGKILL");
  progress.say(
    `  SIGKILL to the dispatcher of lane bulk (process ${dispatcher.pid}), after ${print(sent())} newsletters`,
  );
  const connection = receptions.reduce((last, reception) => Math.max(last, reception.connection), 0);
  return { atMs, connection, isAnswered: false };
}

/** Newsletters that arrive through connections opened after the kill come from the new dispatcher. */
function tellRecovery(
  { receptions }: Stage,
  kill: { readonly atMs: number; readonly connection: number; isAnswered: boolean },
  progress: LiveProgress,
): void {
  const last = receptions.at(-1);
  if (last === undefined || last.connection <= kill.connection || !last.recipient.startsWith("reader")) return;
  kill.isAnswered = true;
  const seconds = (last.atMs - kill.atMs) / 1000;
  progress.say(
    `  a new dispatcher has read its journal and goes on where the dead one stopped, ${seconds.toFixed(1)} s later`,
  );
}

async function isOver(books: ReturnType<typeof openSiteDatabase>, sent: number, readers: number): Promise<boolean> {
  if (sent >= readers) return true;
  const call = await books.call(readDepth);
  return call.kind === "committed" && call.value.moving === 0;
}

function createRate(): (sent: number) => number {
  const past: { readonly atMs: number; readonly sent: number }[] = [];
  return (sent) => {
    const atMs = performance.now();
    past.push({ atMs, sent });
    while (past[0]!.atMs < atMs - RATE_MS && past.length > 2) past.shift();
    const first = past[0]!;
    return atMs === first.atMs ? 0 : ((sent - first.sent) / (atMs - first.atMs)) * 1000;
  };
}

async function untilSettled({ installation }: Stage): Promise<void> {
  const books = openSiteDatabase(installation.dataDir);
  const deadline = performance.now() + RUN_MS_MAX;
  for (;;) {
    const call = await books.call(readDepth);
    if (call.kind === "committed" && call.value.moving === 0 && call.value.claimed === 0) break;
    if (performance.now() > deadline) throw new Error("some messages are neither sent nor unknown after two minutes");
    await sleep(LOOK_MS);
  }
  await books.close();
}

async function compare(stage: Stage, resets: Resets): Promise<DemoFigures> {
  const database = openSiteDatabase(stage.installation.dataDir);
  const call = await database.call(readBooks);
  await database.close();
  if (call.kind !== "committed") throw new Error("the books could not be read");
  stage.look();
  const recipients = [...stage.readers, ...resets.committed];
  const { entries: books, balance } = call.value;
  return figuresOf({ recipients, books, receptions: stage.receptions, balance });
}
