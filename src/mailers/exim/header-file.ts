// The envelope of a message in Exim's spool (`ID-H`): who it is from and for, when it came, whether any delivery was
// tried yet, and whether Exim gave up trying (frozen). Exim writes `-deliver_firsttime` until the first delivery run of
// a message has ended, so its absence says that the message was tried and is still here. Only the head is read, and
// what is no such file gives nothing. From Exim's specification, chapter "Format of spool files".

import { readableText } from "../readable-text.ts";

export interface EximEnvelope {
  readonly wasTried: boolean;
  readonly isFrozen: boolean;
  readonly arrivedAtMs: number;
  readonly recipients: readonly string[];
}

const RECIPIENTS_MAX = 100;
const LINES_MAX = 1000;

/** Undefined when it is no such file, or one that is still being written. */
export function parseHeaderFile(head: string): EximEnvelope | undefined {
  const lines = head.split("\n", LINES_MAX);
  const received = /^(\d{9,11}) \d{1,9}$/.exec(lines[3] ?? "");
  if (received === null || !/^[\w-]{1,40}-H$/.test(lines[0]!)) return undefined;
  const options = lines.slice(4).filter((line) => line.startsWith("-"));
  return {
    wasTried: !options.includes("-deliver_firsttime"),
    isFrozen: options.some((line) => line.startsWith("-frozen ")),
    arrivedAtMs: Number(received[1]) * 1000,
    recipients: recipientsIn(lines),
  };
}

/** Behind the tree of those who have it (`XX` when nobody has): their number, then a line each. */
function recipientsIn(lines: readonly string[]): readonly string[] {
  const tree = lines.findIndex((line, index) => index > 3 && /^(?:XX$|[YN][YN] )/.test(line));
  if (tree < 0) return [];
  const count = lines.findIndex((line, index) => index > tree && /^\d{1,6}$/.test(line));
  if (count < 0) return [];
  const delivered = new Set(lines.slice(tree, count).map((line) => line.slice(3)));
  return lines
    .slice(count + 1, count + 1 + Math.min(Number(lines[count]), RECIPIENTS_MAX))
    .map((line) => readableText(line.split(" ", 1)[0]!))
    .filter((recipient) => recipient !== "" && !delivered.has(recipient));
}
