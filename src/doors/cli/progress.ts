// Progress of long work, beside the answer: a bar that is drawn over on a terminal, else a plain line now and then.

import { countOf, printCount } from "./printing.ts";

export interface Progress {
  /** `share` of the work, from 0 to 1; undefined: not known. */
  update(done: number, share: number | undefined): void;
  end(): void;
}

const BAR_CHARS = 30;
const REDRAW_MS = 100;
const LINE_MS = 2000;

export function createProgress(verb: string, noun: string, { isJson }: { readonly isJson: boolean }): Progress {
  if (isJson) return { update() {}, end() {} };
  const { stderr } = process;
  const startedAtMs = performance.now();
  let shownAtMs = stderr.isTTY ? -Infinity : startedAtMs;
  let last = "";
  const show = (): void => {
    shownAtMs = performance.now();
    stderr.write(stderr.isTTY ? `\r\x1b[K${last}` : `${last}\n`);
  };
  return {
    update(done, share) {
      const passedS = (performance.now() - startedAtMs) / 1000;
      const perS = passedS < 0.5 ? "" : `, ${printCount(done / passedS)}/s`;
      last = `${verb} ${describeProgress(done, share, noun, stderr.isTTY)}${perS}`;
      if (performance.now() - shownAtMs >= (stderr.isTTY ? REDRAW_MS : LINE_MS)) show();
    },
    end() {
      if (!stderr.isTTY || last === "") return;
      show();
      stderr.write("\n");
    },
  };
}

export function describeProgress(done: number, share: number | undefined, noun: string, hasBar: boolean): string {
  const count = countOf(done, noun);
  if (share === undefined || !Number.isFinite(share)) return count;
  const part = Math.min(1, Math.max(0, share));
  const filled = Math.round(part * BAR_CHARS);
  const bar = hasBar ? `[${"#".repeat(filled)}${".".repeat(BAR_CHARS - filled)}] ` : "";
  return `${bar}${Math.floor(part * 100)} %, ${count}`;
}
