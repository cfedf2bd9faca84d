// A jam made on purpose in a whole Postlane at work: while nothing limits, it begins; `postlane explain` has to name its
// reason first within 5 s, and go on naming it; it ends, and within 10 s the reason is gone. The engine is `postlane up` as
// a real process on a database of its own, fed with mail all the time; it is asked by the front's own route, and
// in most jams once by the command. Times are from when the jam has begun or ended: a command that pauses takes its own time.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import type { Pool } from "pg";
import { makeInstallation, type Installation } from "../../bench/installation.ts";
import { findFront } from "../../src/doors/http/front-file.ts";
import type { ReasonCode } from "../../src/mail/reasons.ts";
import { silentLog } from "../../src/platform/log.ts";
import { connectDatabase } from "../../src/postgres/database.ts";
import type { ExplainReport } from "../../src/reports/explain.ts";
import { enqueueMany, until } from "./lane-mail.ts";
import type { Scope } from "./scope.ts";

const run = promisify(execFile);
const NAMED_MS_MAX = 5_000;
const GONE_MS_MAX = 10_000;
/** Until what the jam before left behind has flowed off, and whatever else this machine does is over. */
const FREE_MS_MAX = 40_000;
/** How long its reason has to stay, and to stay gone. */
const STAYS_MS = 1_500;
const LOOK_MS = 100;
const FLOW_MS = 250;
/** Every so manieth round is transactional mail: by chance it would now and then be so much that bulk gives way for long. */
const URGENT_ROUND = 10;
/** The machine may be full with other tests. That is named behind every jam that stops mail, so it does not disturb. */
const FREE: ReadonlySet<ReasonCode | undefined> = new Set(["nothing_limits", "cpu_full"]);

export interface EngineUnderTest {
  readonly installation: Installation;
  readonly pool: Pool;
  explain(): Promise<ExplainReport>;
  /** What a command prints with `--json`. */
  command<Answer>(...args: readonly string[]): Promise<Answer>;
}

export interface EngineOptions {
  /** All of the configuration but `data_dir`. */
  readonly yaml: string;
  /** Whom bulk goes to from now on, four times a second. */
  readonly flow: () => readonly string[];
  /** For `postlane up` and whom it starts; the embedded database gets none of it. */
  readonly env?: Readonly<Record<string, string>>;
}

export async function startEngine(scope: Scope, { yaml, flow, env }: EngineOptions): Promise<EngineUnderTest> {
  const installation = makeInstallation(scope, "jam");
  const { dataDir } = installation;
  installation.configure(yaml);
  const supervisor = await installation.up(env);
  scope.after(async () => void (await supervisor.stop()));
  const { pool, close } = await connectDatabase({ dataDir, log: silentLog, role: "jam" });
  scope.after(close);
  const front = await until("the front listens", () => findFront(dataDir));
  scope.after(keepFlowing(pool, flow));
  return {
    installation,
    pool,
    async explain() {
      return (await (await fetch(`http://${front.http}/explain`)).json()) as ExplainReport;
    },
    async command(...args) {
      const { file, args: words } = installation.command(...args, "--json");
      const { stdout } = await run(file, words, { env: installation.env });
      return JSON.parse(stdout) as never;
    },
  };
}

/** Answers what stops it. A round that fails is told by whoever stops it. */
function keepFlowing(pool: Pool, flow: () => readonly string[]): () => Promise<void> {
  let isStopped = false;
  const rounds = (async () => {
    for (let round = 1; !isStopped; round++) {
      const recipients = flow();
      const lane = round % URGENT_ROUND === 0 ? "transactional" : "bulk";
      if (recipients.length > 0)
        await enqueueMany(
          pool,
          recipients.map((to) => ({ to, lane })),
        );
      await sleep(FLOW_MS);
    }
  })();
  rounds.catch(() => {});
  return async () => {
    isStopped = true;
    await rounds;
  };
}

export interface Jam {
  readonly code: ReasonCode;
  /** Other codes that must be gone with it. */
  readonly also?: readonly ReasonCode[];
  /** Resolves when it has begun, and when it has ended. */
  readonly begin: () => Promise<void> | void;
  readonly end: () => Promise<void> | void;
  /** It ends as soon as it is named: what fails is asked again ever more seldom, so that its end is seen ever later. */
  readonly isShort?: boolean;
}

export async function provoke(t: TestContext, engine: EngineUnderTest, jam: Jam): Promise<void> {
  const { code, also = [] } = jam;
  const free = await timeUntil(engine, FREE_MS_MAX, "nothing limits", (report) => isFree(report, jam));
  const named = await nameIt(engine, jam);
  const codes: readonly ReasonCode[] = [code, ...also];
  const isGone = ({ limits }: ExplainReport): boolean => limits.every((limit) => !codes.includes(limit.code));
  const gone = await timeUntil(engine, GONE_MS_MAX, `${code} is gone`, isGone);
  await stays(engine, "gone", isGone, STAYS_MS);
  t.diagnostic(`${code}: free${tellTimed(free)}, named${tellTimed(named)}, gone${tellTimed(gone)}`);
}

function tellTimed({ ms, codes }: Timed): string {
  return ` after ${(ms / 1000).toFixed(1)} s${codes.length === 0 ? "" : ` (meanwhile ${codes.join(", ")})`}`;
}

function isFree({ limits }: ExplainReport, { code, also = [] }: Jam): boolean {
  return FREE.has(limits[0]?.code) && limits.every((limit) => limit.code !== code && !also.includes(limit.code));
}

/** It is ended however this ends: the next jam shall not suffer from it. */
async function nameIt(engine: EngineUnderTest, { code, begin, end, isShort = false }: Jam): Promise<Timed> {
  try {
    await begin();
    const named = await timeUntil(
      engine,
      NAMED_MS_MAX,
      `${code} is named first`,
      (report) => firstCode(report) === code,
    );
    if (isShort) return named;
    const byCommand = await engine.command<ExplainReport>("explain");
    assert.equal(firstCode(byCommand), code, tell(byCommand));
    await stays(engine, `${code} first`, (report) => firstCode(report) === code, STAYS_MS);
    return named;
  } finally {
    await end();
  }
}

interface Timed {
  readonly ms: number;
  /** What stood first meanwhile. */
  readonly codes: readonly string[];
}

function firstCode({ limits }: ExplainReport): ReasonCode | undefined {
  return limits[0]?.code;
}

async function timeUntil(
  engine: EngineUnderTest,
  msMax: number,
  what: string,
  isSo: (report: ExplainReport) => boolean,
): Promise<Timed> {
  const startedAt = performance.now();
  const codes = new Set<string>();
  for (;;) {
    const report = await engine.explain();
    const ms = performance.now() - startedAt;
    assert.ok(
      ms <= msMax,
      `not within ${msMax} ms: ${what}; it says ${tell(report)}, and said ${[...codes].join(", ")}`,
    );
    if (isSo(report)) return { ms, codes: [...codes].filter((one) => one !== "nothing_limits") };
    codes.add(String(firstCode(report)));
    await sleep(LOOK_MS);
  }
}

async function stays(
  engine: EngineUnderTest,
  what: string,
  isSo: (report: ExplainReport) => boolean,
  ms: number,
): Promise<void> {
  const endsAt = performance.now() + ms;
  while (performance.now() < endsAt) {
    const report = await engine.explain();
    assert.ok(isSo(report), `it does not stay ${what}: ${tell(report)}`);
    await sleep(LOOK_MS);
  }
}

function tell({ limits, waiting }: ExplainReport): string {
  return `${limits.map(({ code, sentence }) => `${code} (${sentence})`).join("; ")}, with ${waiting} waiting`;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
