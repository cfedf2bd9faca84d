// `postlane queue shape`: the report of reports/queue-shape.ts, as qshape prints it.

import { AGE_BOUNDS_MIN, readQueueShape, type QueueShape, type RelayShape } from "../../reports/queue-shape.ts";
import { EXIT_DONE } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { laneIdOf } from "./pausing.ts";
import { DASH, number, printCount, printSpan, printTable, text } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { withDatabase } from "./with-database.ts";

export interface QueueShapeOptions extends CommonOptions {
  readonly lane?: string;
  readonly limit: number;
}

export async function runQueueShape(options: QueueShapeOptions): Promise<number> {
  const output = createOutput(options);
  const shape = await withDatabase(readConfig(options), async (pool) => {
    const laneId = options.lane === undefined ? undefined : await laneIdOf(pool, options.lane);
    return await readQueueShape(pool, laneId);
  });
  const shown = { ...shape.here, destinations: shape.here.destinations.slice(0, options.limit) };
  output.answer({ ages_min: AGE_BOUNDS_MIN, ...shape, here: shown });
  for (const line of printHere(shape.here, options.limit)) output.print(line);
  for (const line of shape.relays.flatMap((relay) => printRelay(relay, options.limit))) output.print(line);
  return EXIT_DONE;
}

const AGE_TITLES = [...AGE_BOUNDS_MIN.map(String), `${AGE_BOUNDS_MIN.at(-1)}+`];

function printHere({ destinations, total, ...here }: QueueShape["here"], rowsMax: number): readonly string[] {
  if (total.messages === 0) return ["nothing waits here"];
  const columns = [text("here, by age in minutes"), number("total"), ...AGE_TITLES.map(number)];
  const totals = ["TOTAL", countOf(total.messages, here.is_sample), ...total.ages.map(printCount)];
  const rows = destinations
    .slice(0, rowsMax)
    .map(({ destination, messages, is_more, ages }) => [
      destination,
      countOf(messages, is_more),
      ...ages.map(printCount),
    ]);
  return [
    ...printTable(columns, [totals, ...rows]),
    ...(destinations.length > rowsMax
      ? [`${rowsMax} of ${printCount(destinations.length)} destinations; --limit shows more`]
      : []),
    ...(here.is_sample
      ? [
          `a sample: at most ${printCount(here.rows_per_destination_max)} messages of each destination were looked at, the first due`,
        ]
      : []),
  ];
}

function countOf(messages: number, isMore: boolean): string {
  return `${printCount(messages)}${isMore ? "+" : ""}`;
}

function printRelay(relay: RelayShape, rowsMax: number): readonly string[] {
  const columns = [text(`relay of ${relay.outlet}`), number("working"), number("deferred"), number("oldest")];
  const totals = ["TOTAL", countOrDash(relay.queue), countOrDash(relay.deferred), ageOf(relay.oldest_age_s)];
  const rows = relay.destinations
    .slice(0, rowsMax)
    .map(({ destination, queue, deferred, oldest_age_s }) => [
      destination,
      printCount(queue),
      printCount(deferred),
      ageOf(oldest_age_s),
    ]);
  return [
    "",
    ...printTable(columns, [totals, ...rows]),
    `read ${printSpan(relay.reading_age_s * 1000)} ago; by destination from a sample`,
  ];
}

function countOrDash(count: number | null): string {
  return count === null ? DASH : printCount(count);
}

function ageOf(seconds: number | null): string {
  return seconds === null ? DASH : printSpan(seconds * 1000);
}
