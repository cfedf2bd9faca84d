// `up`, `dispatcher`, `agent` and `front`: they run until they are told to stop, and end the process themselves, since timers and
// the supervisor's channel would keep it.

import path from "node:path";
import { CommandFailure } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { readConfig } from "./read-config.ts";

export interface DispatcherOptions extends CommonOptions {
  readonly lane: string;
}

export interface AgentOptions extends CommonOptions {
  readonly outlet: string;
}

export async function runUpCommand(options: CommonOptions): Promise<never> {
  outliveReaders();
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

export async function runAgentCommand(options: AgentOptions): Promise<never> {
  const config = readConfig(options);
  const outlet = config.outlets[options.outlet];
  const measured = Object.values(config.outlets).filter((one) => one.type === "smtp" && one.gauge !== undefined);
  if (outlet?.type !== "smtp" || outlet.gauge === undefined) {
    throw new CommandFailure(
      "outlet_without_gauge",
      `There is no outlet "${options.outlet}" with a gauge. Outlets with one: ` +
        `${measured.map(({ name }) => name).join(", ") || "none"}; a gauge is set in postlane.yaml.`,
    );
  }
  const { runAgent } = await import("../../processes/agent-process.ts");
  const exitCode = await runAgent(config, outlet, outlet.gauge);
  createOutput(options).answer({ process: "agent", outlet: options.outlet, exit_code: exitCode });
  process.exit(exitCode);
}

export async function runFrontCommand(options: CommonOptions): Promise<never> {
  const config = readConfig(options);
  const { runFront } = await import("../../processes/front-process.ts");
  const exitCode = await runFront(config);
  createOutput(options).answer({ process: "front", exit_code: exitCode });
  process.exit(exitCode);
}

/** Whoever reads what `up` prints may go, with a terminal or a pipe. Mail goes on; the log is in its file. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners("error").on("error", () => {});
}
