// The envelope in a queue file of Postfix: records of one type letter, a length (7 bits an octet, low ones first) and
// data, up to the `M` that begins the content. `S` sender, `R` recipient still to be served (`D`: done), `T` arrival,
// `p` a pointer to another offset. Only the head of a file is read, so a file that was cut, is being written or is no
// queue file at all gives what could be read, or nothing. Never writes, and never looks at the content.

import { open } from "node:fs/promises";
import { readableText } from "../readable-text.ts";

export interface QueueEnvelope {
  /** Absent as long as the file holds none. Empty: the null sender of a notice. */
  readonly sender?: string;
  /** Those still to be served, at most `ENVELOPE_RECIPIENTS_MAX`. */
  readonly recipients: readonly string[];
  readonly arrivedAtMs?: number;
}

export const ENVELOPE_RECIPIENTS_MAX = 100;
/** Octets read of a file: an envelope of one recipient has some 600. */
const HEAD_BYTES_MAX = 8192;
/** More than any envelope in the head can have, so that pointers cannot lead round in a circle. */
const RECORDS_MAX = 1000;

export async function readQueueFile(file: string): Promise<QueueEnvelope> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(HEAD_BYTES_MAX), 0, HEAD_BYTES_MAX, 0);
    return parseQueueFile(buffer.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

/** The envelope sender of a queue file; undefined when the file is gone or holds none (yet). */
export async function senderOfQueueFile(file: string): Promise<string | undefined> {
  try {
    return (await readQueueFile(file)).sender;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

export function parseQueueFile(head: Uint8Array): QueueEnvelope {
  let sender: string | undefined;
  let arrivedAtMs: number | undefined;
  const recipients: string[] = [];
  for (const { type, data } of recordsOf(head)) {
    if (type === "S") sender = data;
    else if (type === "T") arrivedAtMs = readTime(data);
    else if (type === "R" && recipients.length < ENVELOPE_RECIPIENTS_MAX) recipients.push(data);
  }
  return {
    recipients,
    ...(sender === undefined ? {} : { sender }),
    ...(arrivedAtMs === undefined ? {} : { arrivedAtMs }),
  };
}

interface QueueRecord {
  readonly type: string;
  readonly data: string;
  /** Where the next one begins. */
  readonly end: number;
}

function* recordsOf(head: Uint8Array): Generator<QueueRecord> {
  let at = 0;
  for (let count = 0; count < RECORDS_MAX; count++) {
    const record = recordAt(head, at);
    if (record === undefined || record.type === "M") return;
    yield record;
    const target = record.type === "p" ? Number(record.data) : 0;
    at = target > 0 && Number.isSafeInteger(target) ? target : record.end;
  }
}

function recordAt(head: Uint8Array, at: number): QueueRecord | undefined {
  const type = head[at];
  let length = 0;
  let start = at + 1;
  for (let shift = 0; shift <= 14; shift += 7) {
    const octet = head[start++];
    if (type === undefined || octet === undefined) return undefined;
    length |= (octet & 0x7f) << shift;
    if (octet < 0x80) break;
  }
  const end = start + length;
  if (end > head.length) return undefined;
  const data = readableText(Buffer.from(head.buffer, head.byteOffset + start, length).toString("utf8"));
  return { type: String.fromCharCode(type!), data, end };
}

/** `1795712421 229324`: seconds and microseconds. */
function readTime(data: string): number | undefined {
  const match = /^(\d{9,11})(?: (\d{1,6}))?$/.exec(data.trim());
  return match === null ? undefined : Number(match[1]) * 1000 + Number(match[2] ?? 0) / 1000;
}
