// `up`, `dispatcher` and `front`: they run until they are told to stop, and end the process themselves, since timers and
// the supervisor's channel would keep it.

import path from "node:path";
import { CommandFailure } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { readConfig } from "./read-config.ts";

export interface DispatcherOptions extends CommonOptions {
  readonly lane: string;
}

export async function runUpCommand(options: CommonOptions): Promise<never> {
  const config = readConfig(options);
  const output = createOutput(options);
  const { runUp } = await import("../../processes/up.ts");
  const exitCode = await runUp({
    config,
    configFile: options.config === undefined ? undefined : path.resolve(options.config),
    mainPath: path.join(import.meta.dirname, `main${path.extname(import.meta.filename)}`),
    print(line) {
      output.print(line);
      output.answer({ at: new Date().toISOString(), line });
    },
  });
  process.exit(exitCode);
}

export async function runDispatcherCommand(options: DispatcherOptions): Promise<never> {
  const config = readConfig(options);
  const lanes = Object.keys(config.lanes);
  if (!lanes.includes(options.lane)) {
    throw new CommandFailure(
      "lane_unknown",
      `There is no lane "${options.lane}". Lanes: ${lanes.join(", ")}; more are made in postlane.yaml.`,
    );
  }
  const { runDispatcher } = await import("../../processes/dispatcher-process.ts");
  const exitCode = await runDispatcher(config, options.lane);
  createOutput(options).answer({ process: "dispatcher", lane: options.lane, exit_code: exitCode });
  process.exit(exitCode);
}

export async function runFrontCommand(options: CommonOptions): Promise<never> {
  const config = readConfig(options);
  const { runFront } = await import("../../processes/front-process.ts");
  const exitCode = await runFront(config);
  createOutput(options).answer({ process: "front", exit_code: exitCode });
  process.exit(exitCode);
}
