// `postlane outlet list|pause|resume`: what stands in the configuration, what a person or a rule has stopped, and what the
// dispatchers say of each.

import { systemClock } from "../../platform/clock.ts";
import { readSnapshot } from "../../reports/engine-snapshot.ts";
import { reportOutlets } from "../../reports/outlet-report.ts";
import { CommandFailure, EXIT_DONE } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { pauseNamed, resumeNamed, type PauseOptions } from "./pausing.ts";
import { number, printTable, text } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { withDatabase } from "./with-database.ts";

export async function runOutletList(options: CommonOptions): Promise<number> {
  const config = readConfig(options);
  const output = createOutput(options);
  const outlets = reportOutlets(await withDatabase(config, readSnapshot), config, systemClock.wallMs());
  output.answer({ outlets });
  const rows = outlets.flatMap(({ limits: found, ...outlet }) => {
    const cells = [outlet.name, outlet.type, outlet.lanes.join(", "), String(outlet.window), String(outlet.open)];
    const [first = "", ...others] = found.map(({ sentence }) => sentence);
    return [[...cells, first], ...others.map((sentence) => ["", "", "", "", "", sentence])];
  });
  for (const line of printTable(COLUMNS, rows)) output.print(line);
  return EXIT_DONE;
}

const COLUMNS = [
  text("outlet"),
  text("type"),
  text("lanes"),
  number("window"),
  number("open"),
  text("what stops or limits it"),
];

export async function runOutletPause(name: string, options: PauseOptions): Promise<number> {
  return await pauseNamed(outletOf(name, options), options);
}

export async function runOutletResume(name: string, options: PauseOptions): Promise<number> {
  return await resumeNamed(outletOf(name, options), options);
}

function outletOf(name: string, options: CommonOptions): { readonly kind: "outlet"; readonly name: string } {
  const names = Object.keys(readConfig(options).outlets);
  if (names.includes(name)) return { kind: "outlet", name };
  throw new CommandFailure("outlet_unknown", `There is no outlet "${name}". Outlets: ${names.join(", ")}.`);
}
