// The configuration as a command finds it: the file it was given or the one in the working directory, and the
// environment.

import { loadConfig, type Config } from "../../platform/config.ts";
import type { CommonOptions } from "./output.ts";

export function readConfig({ config }: CommonOptions): Config {
  const env = { ...process.env };
  // It is for the command line alone; the configuration refuses variables that it does not know.
  delete env["POSTLANE_DEBUG"];
  return loadConfig({ cwd: process.cwd(), file: config, env });
}

export interface CaptureFolder {
  readonly outlet: string;
  readonly dir: string;
}

/** Where outlets of type `capture` keep their mail. */
export function captureFolders(config: Config): readonly CaptureFolder[] {
  return Object.values(config.outlets).flatMap((outlet) =>
    outlet.type === "capture" ? [{ outlet: outlet.name, dir: outlet.dir }] : [],
  );
}
