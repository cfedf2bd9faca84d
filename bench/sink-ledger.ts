// The ledger of the truth sink: one line of text per accepted message and recipient, appended before the 250 is
// written. It is the outside witness of demo and crash runs, so it knows nothing of Postlane's tables. Reading goes on
// where it last stopped; a last line that is not whole yet waits for its rest.

import { closeSync, openSync, readSync } from "node:fs";

export interface Reception {
  /** Milliseconds since the epoch, with fractions. */
  readonly atMs: number;
  /** Counts the sink's connections from 1. */
  readonly connection: number;
  /** Without angle brackets; empty when the message had none. */
  readonly messageIdHeader: string;
  readonly returnPath: string;
  readonly recipient: string;
  /** Words that the sink was asked to look for. */
  readonly noted: string;
}

export function printReception({ atMs, connection, messageIdHeader, returnPath, recipient, noted }: Reception): string {
  return `${atMs.toFixed(3)}\t${connection}\t${messageIdHeader}\t${returnPath}\t${recipient}\t${noted}\n`;
}

export interface LedgerReader {
  /** What was written since the last call. */
  next(): readonly Reception[];
  close(): void;
}

const READ_BYTES = 1 << 20;

export function openLedger(file: string): LedgerReader {
  const descriptor = openSync(file, "r");
  const block = Buffer.alloc(READ_BYTES);
  let place = 0;
  let torn = "";
  return {
    next() {
      const found: Reception[] = [];
      for (;;) {
        const bytes = readSync(descriptor, block, 0, READ_BYTES, place);
        if (bytes === 0) return found;
        place += bytes;
        const lines = (torn + block.toString("latin1", 0, bytes)).split("\n");
        torn = lines.pop()!;
        for (const line of lines) found.push(parseReception(line));
      }
    },
    close: () => closeSync(descriptor),
  };
}

function parseReception(line: string): Reception {
  const fields = line.split("\t");
  if (fields.length !== 6) throw new Error(`the ledger has a line that the sink never writes: ${line}`);
  const [atMs, connection, messageIdHeader, returnPath, recipient, noted] = fields as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  return { atMs: Number(atMs), connection: Number(connection), messageIdHeader, returnPath, recipient, noted };
}
