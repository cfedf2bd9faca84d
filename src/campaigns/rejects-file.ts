// Rows of a list that could not be used, as a CSV beside it: line, reason, what stood there. Written under another name
// and renamed at the end, so that it is whole or not there.

import { createWriteStream, renameSync, rmSync } from "node:fs";
import { once } from "node:events";

export interface Reject {
  readonly line: number;
  readonly reason: string;
  readonly raw: string;
}

export interface RejectsFile {
  add(rejects: readonly Reject[]): Promise<void>;
  /** The path, or undefined when nothing was rejected; an older file of that name is gone then. */
  finish(): Promise<string | undefined>;
  /** The import failed: what was begun is removed. */
  abandon(): Promise<void>;
}

export function openRejectsFile(path: string): RejectsFile {
  const unfinished = `${path}.part`;
  const out = createWriteStream(unfinished);
  let count = 0;
  const end = async (): Promise<void> => {
    out.end();
    await once(out, "close");
  };
  return {
    async add(rejects) {
      if (count === 0 && rejects.length > 0) out.write("line,reason,raw\n");
      count += rejects.length;
      const text = rejects.map(({ line, reason, raw }) => `${line},${quote(reason)},${quote(harmless(raw))}\n`).join("");
      if (text !== "" && !out.write(text)) await once(out, "drain");
    },
    async finish() {
      await end();
      rmSync(path, { force: true });
      if (count === 0) rmSync(unfinished);
      else renameSync(unfinished, path);
      return count === 0 ? undefined : path;
    },
    async abandon() {
      await end();
      rmSync(unfinished, { force: true });
    },
  };
}

function quote(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

// A spreadsheet that opens the file must not take a cell for a formula.
function harmless(text: string): string {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}
