// The configuration as a command finds it: the file it was given or the one in the working directory, and the
// environment.

import { loadConfig, type Config } from "../../platform/config.ts";
import type { CommonOptions } from "./output.ts";

/** Of the command line, the sendmail command and programs that send: the configuration refuses what it does not know. */
const OTHERS = [
  "POSTLANE_DEBUG",
  "POSTLANE_SMTP",
  "POSTLANE_SPOOL",
  "POSTLANE_SENDMAIL_CONFIG",
  "POSTLANE_KEY",
  "POSTLANE_WITNESS_TOKEN",
];

export function readConfig({ config }: CommonOptions): Config {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !OTHERS.includes(name)));
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

/** Outlets of type capture that a lane uses. */
export function capturesInUse(config: Config): readonly CaptureFolder[] {
  const used = new Set(Object.values(config.lanes).flatMap((lane) => lane.outlets));
  return captureFolders(config).filter(({ outlet }) => used.has(outlet));
}
