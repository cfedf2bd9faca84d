// `postlane campaign report` and `postlane lane report`: the balance sheet, or the people behind one of its numbers.

import { once } from "node:events";
import { open, rename, rm } from "node:fs/promises";
import type { Pool } from "pg";
import { STATES } from "../../mail/state.ts";
import { listLanes, type LaneRow } from "../../queue/lane-store.ts";
import type { CampaignReport } from "../../reports/campaign-report.ts";
import { exportPeople, parsePeopleWanted, PEOPLE_WANTED, type PeopleQuestion } from "../../reports/export-people.ts";
import { reportInFull, type FullReport } from "../../reports/family-report.ts";
import { reportLane, type LaneReport } from "../../reports/lane-report.ts";
import type { SheetTotals } from "../../reports/status-report.ts";
import { CommandFailure, EXIT_DONE, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { countOf, DASH, harmless, number, printCount, printTable, printTime, text } from "./printing.ts";
import { createProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { campaignNamed } from "./run-campaign.ts";
import { withDatabase } from "./with-database.ts";

export interface PeopleOptions extends CommonOptions {
  readonly people?: string;
  readonly out?: string;
}

export interface LaneReportOptions extends PeopleOptions {
  readonly day?: string;
  readonly limit: number;
}

// ---- a campaign ------------------------------------------------------------------------------------------------------

export async function runCampaignReport(name: string, options: PeopleOptions): Promise<number> {
  checkPeopleOptions(options);
  const { people } = options;
  if (people !== undefined) {
    const wanted = parsePeopleWanted(people);
    if (wanted === undefined) throw misused(`--people ${harmless(people)}: give ${PEOPLE_WANTED}.`);
    return await listPeople(options, async (pool) => {
      return { kind: "campaign", campaign: await campaignNamed(pool, name), wanted };
    });
  }
  const output = createOutput(options);
  const report = await withDatabase(readConfig(options), async (pool) =>
    reportInFull(pool, await campaignNamed(pool, name)),
  );
  output.answer(report);
  for (const line of printReport(report)) output.print(line);
  return EXIT_DONE;
}

function printReport(report: FullReport): readonly string[] {
  const { books } = report;
  return [
    `${report.name} (${report.id}), lane ${report.lane}${report.list === null ? "" : `, list ${report.list}`}: ${report.status}`,
    timesLine(report),
    ...(report.rest_of === null ? [] : [`sends the rest of ${report.rest_of}`]),
    ...(report.no_unsubscribe === null ? [] : [`nobody can unsubscribe from it: ${harmless(report.no_unsubscribe)}`]),
    "",
    ...printTable([text("rows of the list"), number(""), number("")], printRows(report)),
    "",
    ...printTable([text("state"), number("messages"), number("")], printStates(books)),
    ...(report.unmade === 0 ? [] : [`${countOf(report.unmade, "recipient")} of them without a message yet`]),
    ...printVersions(report),
    ...printReasons(report),
    ...printFamily(report),
  ];
}

function timesLine({ created_at, started_at, finished_at, canceled_at }: CampaignReport): string {
  return [
    `created ${printTime(created_at)}`,
    `started ${printTime(started_at)}`,
    ...(finished_at === null ? [] : [`finished ${printTime(finished_at)}`]),
    ...(canceled_at === null ? [] : [`canceled ${printTime(canceled_at)}`]),
  ].join(", ");
}

function printRows({ rows, rejected, doubled, not_accepted, books }: CampaignReport): readonly (readonly string[])[] {
  const counts = { rejected, double: doubled, accepted: books.accepted, not_accepted };
  return [
    ...Object.entries(counts).map(([what, n]) => [what, printCount(n), printShare(n, rows)]),
    ["rows", printCount(rows), ""],
  ];
}

function printStates({ accepted, states }: SheetTotals): readonly (readonly string[])[] {
  const found = STATES.filter((state) => states[state] !== 0);
  return [
    ...found.map((state) => [state, printCount(states[state]), printShare(states[state], accepted)]),
    ["accepted", printCount(accepted), ""],
  ];
}

/** `12.3 %`; what is there is never 0 %, and what is missing never 100 %. */
function printShare(n: number, of: number): string {
  if (of === 0) return DASH;
  const share = (n / of) * 100;
  if (n > 0 && share < 0.1) return "< 0.1 %";
  if (n < of && share > 99.9) return "> 99.9 %";
  return `${share.toFixed(1)} %`;
}

function printVersions({ versions, books }: FullReport): readonly string[] {
  if (versions === null) return [];
  const columns = [
    text("version"),
    number("messages"),
    number(""),
    text("in force since"),
    text("first"),
    text("last"),
  ];
  const rows = versions.map(({ version, messages, in_force_at, first_at, last_at }) => [
    String(version),
    printCount(messages),
    printShare(messages, books.accepted),
    ...[in_force_at, first_at, last_at].map(printTime),
  ]);
  return ["", ...printTable(columns, rows)];
}

function printReasons({ suppressed_because: reasons }: FullReport): readonly string[] {
  if (reasons === null || reasons.length === 0) return [];
  const rows = reasons.map(({ reason, n }) => [reason, printCount(n)]);
  return ["", ...printTable([text("suppressed because"), number("messages")], rows)];
}

function printFamily({ rests, family, name, books, not_accepted }: FullReport): readonly string[] {
  if (family === null) return [];
  const columns = [text("campaign"), text("status"), ...FAMILY_COLUMNS.map(([title]) => number(title))];
  const row = (of: string, status: string, total: SheetTotals, rest: number) => [
    of,
    status,
    ...FAMILY_COLUMNS.map(([, count]) => printCount(count(total, rest))),
  ];
  return [
    "",
    ...printTable(columns, [
      row(name, "", books, not_accepted),
      ...rests.map((one) => row(one.name, one.status, one.books, one.not_accepted)),
      row("each person once", "", family.books, family.not_accepted),
    ]),
  ];
}

const FAMILY_COLUMNS: readonly (readonly [string, (books: SheetTotals, notAccepted: number) => number])[] = [
  ["not accepted", (_, notAccepted) => notAccepted],
  ["waiting", ({ waiting }) => waiting],
  ["sent", ({ states }) => states.sent + states.delivered],
  ["bounced", ({ states }) => states.bounced],
  ["suppressed", ({ states }) => states.suppressed],
  ["expired", ({ states }) => states.expired],
  ["canceled", ({ states }) => states.canceled],
];

// ---- a lane ----------------------------------------------------------------------------------------------------------

export async function runLaneReport(name: string, options: LaneReportOptions): Promise<number> {
  checkPeopleOptions(options);
  const { people, day, limit } = options;
  if (day !== undefined && !isDay(day)) throw misused(`--day ${harmless(day)}: write it as 2027-01-31.`);
  if (people !== undefined) {
    const state = STATES.find((one) => one === people);
    if (state === undefined) throw misused(`--people ${harmless(people)}: give ${STATES.join(", ")}.`);
    return await listPeople(options, async (pool) => {
      return { kind: "lane", laneId: (await laneNamed(pool, name)).id, day, state };
    });
  }
  const output = createOutput(options);
  const report = await withDatabase(readConfig(options), async (pool) =>
    reportLane(pool, await laneNamed(pool, name), { day, daysMax: limit }),
  );
  output.answer(report);
  for (const line of printLane(report, day)) output.print(line);
  return EXIT_DONE;
}

function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`);
  return /^\d{4}-\d{2}-\d{2}$/.test(day) && !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}

function printLane({ lane, books, days, earlier_days }: LaneReport, day: string | undefined): readonly string[] {
  const found = STATES.filter((state) => books.states[state] !== 0);
  const columns = [text("accepted on"), ...[...found, "accepted"].map(number)];
  const row = (of: string, { states, accepted }: SheetTotals) => [
    of,
    ...found.map((state) => printCount(states[state])),
    printCount(accepted),
  ];
  return [
    `lane ${lane}${day === undefined ? "" : `, ${day}`}: ${countOf(books.accepted, "message")} accepted`,
    ...(days.length === 0
      ? []
      : [
          "",
          ...printTable(
            columns,
            days.map((one) => row(one.day, one.books)),
          ),
        ]),
    ...(days.length === 0 || day !== undefined ? [] : printTable(columns, [row("all days", books)]).slice(1)),
    ...(earlier_days === 0 ? [] : [`and ${countOf(earlier_days, "earlier day")}`]),
  ];
}

async function laneNamed(pool: Pool, name: string): Promise<LaneRow> {
  const lanes = await listLanes(pool);
  const lane = lanes.find((one) => one.name === name);
  if (lane !== undefined) return lane;
  const names = lanes.map((one) => one.name).join(", ");
  throw new CommandFailure("lane_unknown", `There is no lane "${name}". Lanes: ${names}.`);
}

// ---- people ----------------------------------------------------------------------------------------------------------

function checkPeopleOptions({ people, out, json }: PeopleOptions): void {
  if (out !== undefined && people === undefined) throw misused("--out is where --people goes: say whom to list.");
  if (people !== undefined && out === undefined && json === true) {
    throw misused("--people prints CSV: leave --json away, or give the list a file with --out.");
  }
}

async function listPeople(options: PeopleOptions, ask: (pool: Pool) => Promise<PeopleQuestion>): Promise<number> {
  const output = createOutput(options);
  const { out } = options;
  const progress = createProgress("written", "line", { isJson: output.isJson || out === undefined });
  const people = await withDatabase(readConfig(options), async (pool) => {
    const question = await ask(pool);
    if (out === undefined) return await exportPeople(pool, question, writeOut);
    return await intoFile(out, async (write) =>
      exportPeople(pool, question, write, (n) => progress.update(n, undefined)),
    );
  });
  progress.end();
  output.answer({ people, file: out });
  if (out !== undefined) output.print(`${countOf(people, "line")} in ${out}`);
  return EXIT_DONE;
}

async function writeOut(chunk: string): Promise<void> {
  if (!process.stdout.write(chunk)) await once(process.stdout, "drain");
}

/** Written under another name and renamed at the end, so that it is whole or not there. */
async function intoFile(
  path: string,
  work: (write: (chunk: string) => Promise<void>) => Promise<number>,
): Promise<number> {
  const unfinished = `${path}.part`;
  const file = await open(unfinished, "w");
  try {
    const count = await work((chunk) => file.writeFile(chunk));
    await file.close();
    await rename(unfinished, path);
    return count;
  } catch (error) {
    await file.close().catch(() => {});
    await rm(unfinished, { force: true });
    throw error;
  }
}
