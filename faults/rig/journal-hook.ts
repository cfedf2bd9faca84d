// For preloads: puts a function around every write to a dispatcher's journal. The journal is known by the name that it is
// opened under, as src/processes gives it. Nothing of Postlane's own is touched, only what `node:fs` does for it.

import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

/** Answers how many octets count as written; `write` is the real one. */
export type JournalWriter = (text: string, write: (text: string) => number) => number;

export const JOURNAL_NAME = /\.journal$/;

export function hookJournal(around: JournalWriter): void {
  const { openSync, writeSync, closeSync } = fs;
  const journals = new Set<number>();
  fs.openSync = (file, flags, mode) => {
    const descriptor = openSync(file, flags, mode);
    // Whoever reads the journal of a dead process opens it as well, and writes nothing.
    if (flags === "wx" && JOURNAL_NAME.test(String(file))) journals.add(descriptor);
    return descriptor;
  };
  fs.closeSync = (descriptor) => {
    journals.delete(descriptor);
    closeSync(descriptor);
  };
  const real = writeSync as (...args: readonly unknown[]) => number;
  const hooked = (descriptor: number, text: unknown, ...rest: readonly unknown[]): number => {
    if (typeof text !== "string" || !journals.has(descriptor)) return real(descriptor, text, ...rest);
    return around(text, (part) => real(descriptor, part, null, "latin1"));
  };
  fs.writeSync = hooked;
  syncBuiltinESMExports();
}
