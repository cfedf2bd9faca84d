// Looks for every record that the witness was told of, and counts what is not there. Reads by the function it is given,
// and writes nothing.

import {
  firstKept,
  placeOf,
  readRecord,
  RECORD_BYTES,
  STREAMS,
  type Counts,
  type RecordState,
  type Stream,
} from "./witness-record.ts";

export interface StreamLoss {
  /** Records that were looked for. */
  readonly examined: number;
  readonly missing: number;
  /** There, and not whole. */
  readonly torn: number;
  /** The smallest number that is missing or torn. */
  readonly firstLost: number | null;
}

export type Losses = Readonly<Record<Stream, StreamLoss>>;

/** `readFile`: the content of a file of the run; undefined when it is not there or cannot be read any more. */
export function examineRecords(run: string, told: Counts, readFile: (name: string) => Buffer | undefined): Losses {
  const [log, grown, renamed] = STREAMS.map((stream) => examineStream(run, stream, told[stream], readFile));
  return { log: log!, grown: grown!, renamed: renamed! };
}

function examineStream(
  run: string,
  stream: Stream,
  last: number,
  readFile: (name: string) => Buffer | undefined,
): StreamLoss {
  let [examined, missing, torn] = [0, 0, 0];
  let firstLost: number | null = null;
  let current: { readonly file: string; readonly content: Buffer } | undefined;
  for (let number = firstKept(stream, last); number <= last; number++) {
    const { file, offset } = placeOf(stream, number);
    if (current?.file !== file) current = { file, content: readFile(file) ?? Buffer.alloc(0) };
    const state = readRecord(run, current.content.subarray(offset, offset + RECORD_BYTES));
    examined++;
    if (isThere(stream, number, state)) continue;
    if (state.kind === "torn") torn++;
    else missing++;
    firstLost ??= number;
  }
  return { examined, missing, torn, firstLost };
}

/** A name that was taken again has a later record; an earlier one means that the rename was lost. */
function isThere(stream: Stream, number: number, state: RecordState): boolean {
  if (state.kind !== "whole") return false;
  return stream === "renamed" ? state.number >= number : state.number === number;
}
