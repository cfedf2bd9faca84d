// What a machine under test and its witness say to each other: lines of text, a word and its arguments, blanks between
// them. Nothing secret is told but the token, which keeps strangers from writing; so there is no TLS. Pure.
//   witness  postlane-witness 1                  the version of what follows
//   tester   hello 1 TOKEN                       ok
//   tester   begin RUN PLACE BOOT MOUNT          ok, when it is in the witness's file
//   tester   told LOG GROWN RENAMED              ok
//   tester   end                                 ok; the run is forgotten
//   tester   last PLACE                          run RUN BOOT MOUNT LOG GROWN RENAMED SECONDS, or none
//   witness  no CODE                             and it hangs up

import type { WitnessedRun } from "./judge-witnessed-disk.ts";
import { RUN_OCTETS, STREAMS, type Counts } from "./witness-record.ts";

export const WITNESS_VERSION = 1;
export const GREETING = `postlane-witness ${WITNESS_VERSION}`;
/** Of a name in a line, as it is written there. A path may be longer; such a folder is refused. */
const NAME_CHARS_MAX = 900;
/** Three names, a run and a word. */
export const LINE_CHARS_MAX = 4096;

export type NoCode = "version" | "token" | "line" | "order" | "disk";

export type TesterLine =
  | { readonly kind: "hello"; readonly version: number; readonly token: string }
  | {
      readonly kind: "begin";
      readonly run: string;
      readonly place: string;
      readonly boot: string;
      readonly mount: string;
    }
  | { readonly kind: "told"; readonly told: Counts }
  | { readonly kind: "end" }
  | { readonly kind: "last"; readonly place: string };

/** Undefined: that is no line of ours. */
export function parseTesterLine(line: string): TesterLine | undefined {
  const [word, ...given] = line.split(" ");
  const [first = "", second = "", third = "", fourth = ""] = given;
  switch (`${word} ${given.length}`) {
    case "hello 2":
      return /^\d{1,6}$/.test(first) ? { kind: "hello", version: Number(first), token: second } : undefined;
    case "begin 4": {
      const [place, boot, mount] = [second, third, fourth].map(parseName);
      if (!isRun(first) || place === undefined || boot === undefined || mount === undefined) return undefined;
      return { kind: "begin", run: first, place, boot, mount };
    }
    case "told 3": {
      const told = parseCounts(given);
      return told === undefined ? undefined : { kind: "told", told };
    }
    case "end 0":
      return { kind: "end" };
    case "last 1": {
      const place = parseName(first);
      return place === undefined ? undefined : { kind: "last", place };
    }
    default:
      return undefined;
  }
}

export function printTesterLine(line: TesterLine): string {
  switch (line.kind) {
    case "hello":
      return `hello ${line.version} ${line.token}`;
    case "begin":
      return ["begin", line.run, ...[line.place, line.boot, line.mount].map(printName)].join(" ");
    case "told":
      return ["told", ...STREAMS.map((stream) => line.told[stream])].join(" ");
    case "end":
      return "end";
    case "last":
      return `last ${printName(line.place)}`;
  }
}

export type WitnessLine =
  | { readonly kind: "ok" | "none" }
  | { readonly kind: "run"; readonly known: WitnessedRun }
  | { readonly kind: "no"; readonly code: string };

export function parseWitnessLine(line: string): WitnessLine | undefined {
  if (line === "ok" || line === "none") return { kind: line };
  const [, code] = /^no ([a-z]{1,20})$/.exec(line) ?? [];
  if (code !== undefined) return { kind: "no", code };
  const [word, run = "", writtenBoot = "", writtenMount = "", ...numbers] = line.split(" ");
  const seconds = Number(numbers.at(-1));
  const [boot, mount, told] = [parseName(writtenBoot), parseName(writtenMount), parseCounts(numbers.slice(0, -1))];
  const isRunLine = word === "run" && isRun(run) && boot !== undefined && mount !== undefined && told !== undefined;
  if (!isRunLine || !(Number.isSafeInteger(seconds) && seconds >= 0)) return undefined;
  return { kind: "run", known: { run, boot, mount, told, seconds } };
}

export function printWitnessLine(line: WitnessLine): string {
  if (line.kind === "no") return `no ${line.code}`;
  if (line.kind !== "run") return line.kind;
  const { run, boot, mount, told, seconds } = line.known;
  const numbers = [...STREAMS.map((stream) => told[stream]), seconds];
  return ["run", run, printName(boot), printName(mount), ...numbers].join(" ");
}

/** Whether a name fits into a line. */
export function isNameable(name: string): boolean {
  return name !== "" && printName(name).length <= NAME_CHARS_MAX;
}

function printName(name: string): string {
  return encodeURIComponent(name);
}

function parseName(written: string): string | undefined {
  if (written === "" || written.length > NAME_CHARS_MAX || !/^[\w.!~*'()%-]+$/.test(written)) return undefined;
  try {
    return decodeURIComponent(written);
  } catch {
    return undefined;
  }
}

function isRun(text: string): boolean {
  return text.length === RUN_OCTETS * 2 && /^[0-9a-f]+$/.test(text);
}

function parseCounts(written: readonly string[]): Counts | undefined {
  const numbers = written.map((text) => (/^\d{1,15}$/.test(text) ? Number(text) : Number.NaN));
  const [log, grown, renamed] = numbers;
  if (numbers.length !== STREAMS.length || numbers.some(Number.isNaN)) return undefined;
  return { log: log!, grown: grown!, renamed: renamed! };
}
