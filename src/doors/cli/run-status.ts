// `postlane status [--watch]`: the report of reports/status-report.ts for people.

import { STATES } from "../../mail/state.ts";
import type { Config } from "../../platform/config.ts";
import {
  countEverything,
  readStatus,
  type CountedLane,
  type LaneStatus,
  type SheetTotals,
  type StatusReport,
} from "../../reports/status-report.ts";
import { EXIT_DONE, EXIT_FAILED } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { number, printCount, printPerSecond, printSpan, printTable, text, type Column } from "./printing.ts";
import { capturesInUse, readConfig } from "./read-config.ts";
import { watch } from "./watching.ts";
import { withDatabase } from "./with-database.ts";

export interface StatusOptions extends CommonOptions {
  readonly watch?: boolean;
  readonly count?: boolean;
}

export async function runStatus(options: StatusOptions): Promise<number> {
  const config = readConfig(options);
  const output = createOutput(options);
  return await withDatabase(config, async (pool) => {
    if (options.watch === true) {
      return await watch(output, async () => {
        const report = await readStatus(pool);
        return { answer: answerOf(report, config), lines: printStatus(report, config) };
      });
    }
    const report = await readStatus(pool);
    const counted = options.count === true ? await countEverything(pool) : undefined;
    output.answer({ ...answerOf(report, config), ...(counted === undefined ? {} : { counted }) });
    for (const line of [...printStatus(report, config), ...printCounted(counted)]) output.print(line);
    return report.totals.adds_up && (counted ?? []).every((lane) => lane.adds_up) ? EXIT_DONE : EXIT_FAILED;
  });
}

function answerOf(report: StatusReport, config: Config): object {
  return { at: new Date().toISOString(), nothing_leaves: capturesInUse(config), ...report };
}

function printStatus(report: StatusReport, config: Config): readonly string[] {
  const captures = capturesInUse(config);
  return [
    ...captures.map(({ outlet, dir }) => `nothing leaves this machine: outlet ${outlet} keeps mail in ${dir}`),
    ...(captures.length > 0 ? [""] : []),
    ...printTable(LANE_COLUMNS, report.lanes.map(printLane)),
    "",
    ...printBooks(report, captures.length > 0),
    "",
    sumLine(report.totals),
    ...printOutlets(report),
    ...warnings(report),
  ];
}

const LANE_COLUMNS: readonly Column[] = [
  text("lane"),
  text(""),
  number("dispatchers"),
  number("waiting"),
  number("in flight"),
  number("per second"),
  number("oldest"),
  number("p50"),
  number("p99"),
];

function printLane(lane: LaneStatus): readonly string[] {
  return [
    lane.name,
    stateOf(lane),
    String(lane.dispatchers),
    printCount(lane.books.waiting),
    printCount(lane.in_flight),
    printPerSecond(lane.rate_per_s),
    `${lane.is_oldest_estimate ? "about " : ""}${printSpan(lane.oldest_waiting_ms)}`,
    printSpan(lane.waiting_p50_ms),
    printSpan(lane.waiting_p99_ms),
  ];
}

function stateOf({ is_held_by_guard: isHeld, paused_at: pausedAt, dispatchers }: LaneStatus): string {
  if (isHeld) return "held by the guard";
  if (pausedAt !== null) return "paused";
  return dispatchers === 0 ? "not served" : "running";
}

/** The balance sheet: a row for each state that has a message, a column for each lane. */
function printBooks({ lanes, totals }: StatusReport, isCaptured: boolean): readonly string[] {
  const columns = [text("state"), ...lanes.map((lane) => number(lane.name)), number("all lanes")];
  const counts = (of: (books: SheetTotals) => number): readonly string[] =>
    [...lanes.map((lane) => lane.books), totals].map((books) => printCount(of(books)));
  const rows = STATES.filter((state) => totals.states[state] !== 0).map((state) => [
    state === "sent" && isCaptured ? "sent (captured)" : state,
    ...counts((books) => books.states[state]),
  ]);
  return printTable(columns, [...rows, ["accepted", ...counts((books) => books.accepted)]]);
}

function sumLine({ accepted, waiting, settled, adds_up }: SheetTotals): string {
  const sheet = `${printCount(accepted)} accepted = ${printCount(waiting)} waiting + ${printCount(settled)} settled`;
  return adds_up ? sheet : `${sheet}: does NOT add up, a state holds fewer than none`;
}

function printOutlets({ lanes }: StatusReport): readonly string[] {
  const columns = [text("outlet"), text("lane"), number("window"), number("open"), text("what limits it")];
  const rows = lanes.flatMap((lane) =>
    lane.outlets.map(({ name, window, open, reasons }) => [
      name,
      lane.name,
      String(window),
      String(open),
      reasons[0]?.evidence ?? "",
    ]),
  );
  return rows.length === 0 ? [] : ["", ...printTable(columns, rows)];
}

function warnings({ lanes }: StatusReport): readonly string[] {
  const held = lanes.filter((lane) => lane.is_held_by_guard).map(({ name }) => name);
  return [
    ...(held.length > 0 ? ["", `the guard holds lane ${held.join(", ")}: see \`postlane guard status\``] : []),
    ...lanes.flatMap(laneWarnings),
  ];
}

function laneWarnings(lane: LaneStatus): readonly string[] {
  return [
    ...(lane.dispatchers === 0 && lane.books.waiting > 0
      ? ["", `lane ${lane.name}: mail waits and no dispatcher serves it; run \`postlane up\``]
      : []),
    ...(lane.dispatchers_gone > 0
      ? ["", `lane ${lane.name}: ${lane.dispatchers_gone} dispatcher(s) died; what they had claimed is rescued soon`]
      : []),
    ...(lane.books.states.unknown > 0
      ? ["", `lane ${lane.name}: ${printCount(lane.books.states.unknown)} unknown; see \`postlane unknown list\``]
      : []),
  ];
}

function printCounted(counted: readonly CountedLane[] | undefined): readonly string[] {
  if (counted === undefined) return [];
  const columns = [
    text("counted"),
    number("accepted"),
    number("by the books"),
    number("waiting"),
    number("by the books"),
  ];
  const rows = counted.map((lane) => [
    lane.name,
    printCount(lane.accepted_counted),
    printCount(lane.accepted_booked),
    printCount(lane.waiting_counted),
    printCount(lane.waiting_booked),
  ]);
  const verdict = counted.every((lane) => lane.adds_up) ? "the books are right" : "the books are WRONG";
  return ["", ...printTable(columns, rows), verdict];
}
