// A campaign run: a whole Postlane, a list, and a campaign that is steered only by the commands that a person would type. It is
// paused twice, edited while it runs and while it is paused; a dispatcher is killed, and then everything at once, with the
// database; people are suppressed who have not got theirs yet; what the crashes left unknown is settled by the sink's ledger;
// then it is canceled, and `send-rest` sends to the others. All the while the sheets are read, and at the end everybody's
// copies are counted.

import { writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { FullReport } from "../src/reports/family-report.ts";
import { inScope, type Scope } from "../test/rig/scope.ts";
import { judgeCampaign, settledProblems, type CampaignVerdict } from "./campaign-check.ts";
import { EDITION_WORDS, writeEdition, writeFaultyList, type WrittenList } from "./campaign-list.ts";
import { startSampler, type Sampler } from "./campaign-sampler.ts";
import { readFates, readSample, readTexts, type Sample } from "./campaign-store.ts";
import { readDepth } from "../faults/rig/books-store.ts";
import { wallMs } from "../faults/rig/submissions.ts";
import { makeInstallation, type Installation, type Supervisor } from "./installation.ts";
import { watchForPauses } from "./pause-watch.ts";
import { runCommand } from "./run-command.ts";
import { processesOf, sendSignal } from "./running-processes.ts";
import { openLedger, type LedgerReader } from "./sink-ledger.ts";
import { openSiteDatabase, type SiteDatabase } from "./site-database.ts";
import { startTruthSink, type TruthSink } from "./truth-sink.ts";

export interface CampaignRunOptions {
  readonly rows: number;
  /** How many are put on the suppression list while the campaign runs. */
  readonly suppressed: number;
  /**
   * The relay takes about this share of the list while a command starts, however busy the machine is, so that the campaign is
   * not over before it was steered; absent: as fast as it goes.
   */
  readonly shareDuringCommand?: number;
  /** After this long the run is given up. */
  readonly msMax: number;
  readonly say: (line: string) => void;
  /** Rejects when the run is to end before its end; what it made is removed then, too. */
  readonly interrupted: Promise<never>;
  /** Where its temporary folder is made, if not with the others. */
  readonly inFolder?: string;
}

export interface CampaignRunReport {
  readonly list: Omit<WrittenList, "file" | "listed">;
  readonly listed: number;
  readonly verdict: CampaignVerdict;
  readonly samples: number;
  /** Of the samples, and of the sheets at the end. */
  readonly violations: number;
  readonly told: readonly string[];
  readonly pauses: readonly PauseMeasured[];
  readonly suppressed: number;
  /** Withdrawn by the cancel, and so sent by the rest. */
  readonly rest: number;
  /** What crashes left unknown; of these, what the sink had. */
  readonly unknown: number;
  readonly unknownArrived: number;
  /** From the first to the last copy, with pauses and crashes. */
  readonly messagesPerS: number;
  readonly rssMbFrontMax: number;
}

export interface PauseMeasured {
  /** How long after the end of the command the last copy arrived. */
  readonly ms: number;
  /** The machine itself was paused meanwhile: the figure counts for nothing. */
  readonly isDisturbed: boolean;
}

const NAME = "proof";
const SINK_NAME = "sink";

export async function runCampaign(options: CampaignRunOptions): Promise<CampaignRunReport> {
  const timer = new AbortController();
  const tooLong = sleep(options.msMax, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`the run was not over after ${Math.round(options.msMax / 1000)} s`);
  });
  tooLong.catch(() => {}); // It is over in time.
  try {
    return await inScope((scope) => Promise.race([wholeRun(scope, options), options.interrupted, tooLong]));
  } finally {
    timer.abort();
  }
}

async function wholeRun(scope: Scope, options: CampaignRunOptions): Promise<CampaignRunReport> {
  const run = await bringUp(scope, options);
  await begin(run);
  await untilReceived(run, 0.06);
  await pause(run);
  await suppressSome(run);
  await resume(run);
  await untilReceived(run, 0.15);
  await edit(run, 2);
  await untilReceived(run, 0.25);
  await killDispatcher(run);
  await untilReceived(run, 0.38);
  await killEverything(run);
  await untilReceived(run, 0.5);
  await pause(run);
  await settleUnknown(run);
  await edit(run, 3);
  await resume(run);
  await untilReceived(run, 0.7);
  await cancel(run);
  await sendRest(run);
  const report = await judge(run);
  await run.stop();
  return report;
}

interface Run {
  readonly options: CampaignRunOptions;
  readonly installation: Installation;
  readonly list: WrittenList;
  readonly sink: TruthSink;
  readonly ledger: LedgerReader;
  readonly receptions: { readonly recipient: string; readonly noted: string }[];
  /** Who has got something, in lower case. */
  readonly reached: Set<string>;
  readonly suppressed: Set<string>;
  readonly sampler: Sampler;
  readonly pauses: PauseMeasured[];
  /** The harness's own look into the books. */
  readonly books: SiteDatabase;
  readonly counts: { unknown: number; unknownArrived: number; rest: number };
  supervisor: Supervisor;
  firstAtMs: number | undefined;
  lastAtMs: number;
  pausedMs(): number;
  stop(): Promise<void>;
}

async function bringUp(scope: Scope, options: CampaignRunOptions): Promise<Run> {
  const installation = makeInstallation(scope, "campaign", options.inFolder);
  const sink = await startTruthSink(path.join(installation.folder, "ledger"), { wanted: EDITION_WORDS });
  scope.after(() => sink.stop());
  const list = await writeFaultyList(installation.folder, options.rows);
  installation.configure(configFor(sink.port, await maxRateFor(installation, options)));
  const supervisor = await installation.up();
  const ledger = openLedger(sink.ledgerFile);
  scope.after(() => ledger.close());
  const books = openSiteDatabase(installation.dataDir);
  scope.after(() => books.close());
  const sampler = startSampler(installation, options.say);
  // What it could not read is of no interest any more when the run has failed.
  scope.after(() => sampler.stop().catch(() => {}));
  const run: Run = {
    options,
    installation,
    list,
    sink,
    ledger,
    receptions: [],
    reached: new Set(),
    suppressed: new Set(),
    sampler,
    pauses: [],
    books,
    counts: { unknown: 0, unknownArrived: 0, rest: 0 },
    supervisor,
    firstAtMs: undefined,
    lastAtMs: 0,
    pausedMs: watchForPauses(scope),
    async stop() {
      const code = await run.supervisor.stop();
      if (code !== 0) throw new Error(`postlane up ended with ${code}:\n${run.supervisor.printed()}`);
    },
  };
  return run;
}

async function maxRateFor(installation: Installation, options: CampaignRunOptions): Promise<string | undefined> {
  if (options.shareDuringCommand === undefined) return undefined;
  const beganAtMs = wallMs();
  await runCommand(installation, "campaign", "cancel", "--help");
  const perS = Math.ceil((options.rows * options.shareDuringCommand * 1000) / (wallMs() - beganAtMs));
  options.say(`the relay takes ${perS} messages a second`);
  return `${perS}/s`;
}

function configFor(port: number, maxRate: string | undefined): string {
  const rate = maxRate === undefined ? "" : `, max_rate: "${maxRate}"`;
  return `
lanes:
  transactional: { outlets: [${SINK_NAME}] }
  bulk: { outlets: [${SINK_NAME}], unknown: hold, retry: ["1 s"] }
outlets:
  ${SINK_NAME}: { type: smtp, hosts: ["127.0.0.1:${port}"], tls: "off", helo_name: campaign.example${rate} }
`;
}

// ---- what a person does ----------------------------------------------------------------------------------------------

async function command(run: Run, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const printed = await Promise.race([runCommand(run.installation, ...args, "--json"), run.supervisor.unexpectedEnd]);
  readLedger(run);
  return JSON.parse(printed) as Record<string, unknown>;
}

async function begin(run: Run): Promise<void> {
  const { list, installation, options } = run;
  const template = writeEdition(installation.folder, 1);
  const made = await command(run, "campaign", "create", NAME, "--list", list.file, "--template", template);
  options.say(`imported: ${String(made["accepted"])} recipients of ${list.rows} rows`);
  await command(run, "campaign", "start", NAME);
}

async function pause(run: Run): Promise<void> {
  const pausedMsBefore = run.pausedMs();
  await command(run, "campaign", "pause", NAME);
  const ms = await untilQuiet(run, wallMs());
  run.pauses.push({ ms, isDisturbed: run.pausedMs() > pausedMsBefore });
  await untilUnclaimed(run);
  run.options.say(
    `paused with ${run.receptions.length} sent; the last one came ${Math.round(ms)} ms after the command`,
  );
}

async function resume(run: Run): Promise<void> {
  await command(run, "campaign", "resume", NAME);
}

async function edit(run: Run, number: number): Promise<void> {
  const template = writeEdition(run.installation.folder, number);
  const { version } = await command(run, "campaign", "edit", NAME, "--template", template);
  run.options.say(`edited with ${run.receptions.length} sent: version ${String(version)}`);
}

/** Of those who have got nothing: some who are next, some who have no message yet. All but one of them by a file. */
async function suppressSome(run: Run): Promise<void> {
  const { list, reached, suppressed, installation, options } = run;
  const waiting = list.listed.filter((recipient) => !reached.has(recipient));
  const half = Math.ceil(options.suppressed / 2);
  const every = Math.floor(waiting.length / half);
  for (const recipient of waiting.slice(0, half)) suppressed.add(recipient);
  for (let place = waiting.length - 1; suppressed.size < options.suppressed; place -= every) {
    suppressed.add(waiting[Math.max(place, half)]!);
  }
  const [one, ...others] = suppressed;
  const file = path.join(installation.folder, "suppressed.csv");
  writeFileSync(file, `email\n${others.join("\n")}\n`);
  await command(run, "suppression", "import", file, "--scope", "everything");
  await command(run, "suppression", "add", one!);
  options.say(`suppressed ${suppressed.size} who had got nothing`);
}

/** What the sink has is accepted, what it has not is sent again. */
async function settleUnknown(run: Run): Promise<void> {
  const { messages } = (await command(run, "unknown", "list", "--campaign", NAME, "--limit", "100000")) as {
    readonly messages?: readonly { readonly id: string; readonly recipient: string }[];
  };
  const arrived = messages!.filter(({ recipient }) => run.reached.has(recipient.toLowerCase()));
  const missing = messages!.filter(({ recipient }) => !run.reached.has(recipient.toLowerCase()));
  run.counts.unknown = messages!.length;
  run.counts.unknownArrived = arrived.length;
  for (const ids of inParts(arrived)) await command(run, "unknown", "accept", ...ids);
  for (const ids of inParts(missing)) await command(run, "unknown", "resend", ...ids);
  run.options.say(`${messages!.length} were unknown, and ${arrived.length} of them had arrived`);
}

const IDS_AT_ONCE = 500;

function inParts(messages: readonly { readonly id: string }[]): readonly (readonly string[])[] {
  const parts = Array.from({ length: Math.ceil(messages.length / IDS_AT_ONCE) }, (_, part) =>
    messages.slice(part * IDS_AT_ONCE, (part + 1) * IDS_AT_ONCE),
  );
  return parts.map((part) => part.map(({ id }) => id));
}

async function cancel(run: Run): Promise<void> {
  await command(run, "campaign", "cancel", NAME);
  await untilQuiet(run, wallMs());
  await untilUnclaimed(run);
  run.options.say(`canceled with ${run.receptions.length} sent`);
}

async function sendRest(run: Run): Promise<void> {
  const { name, recipients } = await command(run, "campaign", "send-rest", NAME);
  run.counts.rest = Number(recipients);
  if (!(run.counts.rest > 0)) throw new Error("the campaign was over before it was canceled: the list is too short");
  run.options.say(`the rest: ${String(recipients)} recipients`);
  await untilMoved(run, "the rest", () => run.sampler.latest?.statuses.get(String(name)) === "finished");
}

// ---- crashes ---------------------------------------------------------------------------------------------------------

/** With its connections cut a moment before: what had just been written has arrived, or not. */
async function killDispatcher(run: Run): Promise<void> {
  run.sink.cutConnections();
  await untilMoved(run, "a dispatcher to kill", () => {
    const pid = run.installation.dispatchersOf("bulk").at(-1)?.pid;
    return pid !== undefined && sendSignal(pid, "SIGKILL");
  });
  run.options.say(`killed the dispatcher with ${run.receptions.length} sent`);
}

/** The supervisor, its children and the database: whatever runs in the folder but the witness. */
async function killEverything(run: Run): Promise<void> {
  const { installation, sink, supervisor } = run;
  const postmaster = await installation.postmasterPid();
  readLedger(run);
  supervisor.kill();
  for (const { pid } of processesOf(installation.folder)) if (pid !== sink.pid) sendSignal(pid, "SIGKILL");
  if (postmaster !== undefined) sendSignal(postmaster, "SIGKILL");
  run.supervisor = await installation.up();
  run.options.say(`killed everything with ${run.receptions.length} sent, and started it again`);
}

// ---- waiting ---------------------------------------------------------------------------------------------------------

const LOOK_MS = 20;
/** A campaign that stands still for so long, and should not, is given up. */
const STUCK_MS = 90_000;
/** Nothing has come for so long: it will not come any more. */
const QUIET_MS = 2000;
const QUIET_MS_MAX = 30_000;

function readLedger(run: Run): void {
  for (const { recipient, noted, atMs } of run.ledger.next()) {
    run.receptions.push({ recipient, noted });
    run.reached.add(recipient.toLowerCase());
    run.firstAtMs ??= atMs;
    run.lastAtMs = atMs;
  }
}

async function untilReceived(run: Run, share: number): Promise<void> {
  const wanted = Math.ceil(run.list.listed.length * share);
  await untilMoved(run, `${wanted} to have theirs`, () => run.receptions.length >= wanted);
}

async function untilMoved(run: Run, what: string, isSo: () => boolean): Promise<void> {
  let [received, movedAtMs] = [run.receptions.length, wallMs()];
  for (;;) {
    readLedger(run);
    if (isSo()) return;
    if (run.receptions.length > received) [received, movedAtMs] = [run.receptions.length, wallMs()];
    if (wallMs() > movedAtMs + STUCK_MS)
      throw new Error(`nothing has come for ${STUCK_MS / 1000} s, waiting for ${what}`);
    await Promise.race([sleep(LOOK_MS), run.supervisor.unexpectedEnd]);
  }
}

/** Answers how long after `sinceMs` the last copy came. */
async function untilQuiet(run: Run, sinceMs: number): Promise<number> {
  while (wallMs() < Math.min(Math.max(sinceMs, run.lastAtMs) + QUIET_MS, sinceMs + QUIET_MS_MAX)) {
    await sleep(LOOK_MS);
    readLedger(run);
  }
  return Math.max(0, run.lastAtMs - sinceMs);
}

/** What was claimed has come back, and what had died with its dispatcher was rescued. */
async function untilUnclaimed(run: Run): Promise<void> {
  for (const endsAtMs = wallMs() + STUCK_MS; ;) {
    const call = await run.books.call(readDepth);
    if (call.kind === "committed" && call.value.claimed === 0) return;
    if (wallMs() > endsAtMs) throw new Error("messages of a campaign that stands still are still claimed");
    await sleep(LOOK_MS);
  }
}

// ---- the end ---------------------------------------------------------------------------------------------------------

async function judge(run: Run): Promise<CampaignRunReport> {
  const { list, sampler, suppressed, receptions, counts, pauses } = run;
  const { family } = (await command(run, "campaign", "report", NAME)) as Partial<Pick<FullReport, "family">>;
  await sampler.stop();
  const { fates, texts, sample } = await readEnd(run);
  const verdict = judgeCampaign({ listed: list.listed, suppressed, receptions, fates, texts });
  const last = [...settledProblems(fates, sample), ...listProblems(list, sample), ...familyProblems(run, family)];
  for (const problem of last) run.options.say(`VIOLATION: ${problem}`);
  const seconds = (run.lastAtMs - (run.firstAtMs ?? run.lastAtMs)) / 1000;
  const { rows, doubled, rejected } = list;
  return {
    list: { rows, doubled, rejected },
    listed: list.listed.length,
    verdict,
    samples: sampler.samples,
    violations: sampler.violations + last.length,
    told: [...sampler.told, ...last],
    pauses,
    suppressed: suppressed.size,
    rest: counts.rest,
    unknown: counts.unknown,
    unknownArrived: counts.unknownArrived,
    messagesPerS: receptions.length / seconds,
    rssMbFrontMax: sampler.rssMbFrontMax,
  };
}

async function readEnd(run: Run) {
  const call = await run.books.call(async (client) => ({
    fates: await readFates(client),
    texts: await readTexts(client, EDITION_WORDS),
    sample: await readSample(client),
  }));
  if (call.kind !== "committed") throw new Error(`the books cannot be read at the end: ${call.kind}`);
  return call.value;
}

/** The sheet says of the list what we have written. */
function listProblems({ rows, listed, doubled, rejected }: WrittenList, { reports }: Sample): readonly string[] {
  const report = reports.find(({ name }) => name === NAME)!;
  const said = [report.rows, report.books.accepted, report.doubled, report.rejected].join(", ");
  const written = [rows, listed.length, doubled, rejected].join(", ");
  return said === written ? [] : [`rows, accepted, doubled, rejected are ${said}, and the file has ${written}`];
}

/** The report's sheet of the campaign and its rest together: everybody once. */
function familyProblems({ list, suppressed }: Run, family: FullReport["family"] | undefined): readonly string[] {
  if (family === undefined || family === null) return ["the report says nothing of the campaign and its rest together"];
  const { recipients, not_accepted, books } = family;
  const said = [recipients, not_accepted, books.states.sent, books.states.suppressed].join(", ");
  const meant = [list.listed.length, 0, list.listed.length - suppressed.size, suppressed.size].join(", ");
  return said === meant
    ? []
    : [`the report's recipients, not accepted, sent, suppressed are ${said}, and not ${meant}`];
}
