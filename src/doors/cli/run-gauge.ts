// `postlane gauge exim`: Exim's queue as one JSON object, as an outlet's `gauge: { type: command }` wants it. Prints it
// with and without --json, since a program reads it.

import { readEximGauge } from "../../mailers/exim/exim-gauge.ts";
import { systemRandom } from "../../platform/random.ts";
import { CommandFailure, EXIT_DONE } from "./command-failure.ts";
import type { CommonOptions } from "./output.ts";

export interface EximGaugeOptions extends CommonOptions {
  readonly exim: string;
  readonly spool?: string;
}

export async function runEximGauge({ exim, spool }: EximGaugeOptions): Promise<number> {
  const question = { command: [exim], ...(spool === undefined ? {} : { spool }) };
  const answer = await readEximGauge(question, { random: systemRandom, wallMs: () => Date.now() });
  if (answer.kind === "failed") throw new CommandFailure("no_reading", `${answer.problem}.`);
  process.stdout.write(`${JSON.stringify(answer.reading)}\n`);
  return EXIT_DONE;
}
