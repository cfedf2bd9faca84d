// Runs another program for its answer, with what it may print and how long it may take bounded, and never through a
// shell. Programs of the system are found also when PATH leaves /usr/sbin out. What goes wrong is a value.

import { execFile } from "node:child_process";

export interface CommandResult {
  /** 0: done. Absent: it could not be run, or was ended. */
  readonly code?: number;
  readonly stdout: string;
  /** What it said, or why it could not be run. */
  readonly stderr: string;
}

export const RUN_MS_MAX = 60_000;
export const OUTPUT_BYTES_MAX = 4_000_000;

/** The environment of a program whose words are read: its messages are not translated. */
export function systemEnvironment(): NodeJS.ProcessEnv {
  const { PATH = "" } = process.env;
  return { ...process.env, PATH: `${PATH}:/usr/sbin:/usr/bin:/sbin:/bin`, LC_ALL: "C" };
}

export function runCommand(
  program: string,
  words: readonly string[],
  { runMsMax = RUN_MS_MAX, outputBytesMax = OUTPUT_BYTES_MAX } = {},
): Promise<CommandResult> {
  const options = {
    timeout: runMsMax,
    killSignal: "SIGKILL",
    maxBuffer: outputBytesMax,
    env: systemEnvironment(),
  } as const;
  return new Promise((resolve) => {
    execFile(program, words, options, (error, stdout, stderr) => {
      if (error === null) return resolve({ code: 0, stdout, stderr });
      if (typeof error.code === "number") return resolve({ code: error.code, stdout, stderr });
      resolve({ stdout, stderr: `${program}: ${whyNot(error, runMsMax)}` });
    });
  });
}

function whyNot({ code, killed, message }: Error & { code?: unknown; killed?: boolean }, runMsMax: number): string {
  if (code === "ENOENT") return "not found";
  if (code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") return "printed too much";
  if (killed === true) return `did not end within ${runMsMax / 1000} s`;
  return typeof code === "string" ? code : message;
}
