// What is seen while the demo runs: on a terminal one line that is written over, elsewhere a plain line a second.
// What is said in between stays above it.

export interface LiveProgress {
  show(state: ProgressState): void;
  say(line: string): void;
  end(): void;
}

export interface ProgressState {
  readonly sent: number;
  readonly total: number;
  readonly perS: number;
  readonly resets: number;
  readonly resetsTotal: number;
}

const BAR_CELLS = 24;
const SHOW_MS = { terminal: 100, plain: 1000 } as const;
const ERASE_LINE = "\r\u001b[2K";

export function createLiveProgress(out: NodeJS.WriteStream): LiveProgress {
  const everyMs = out.isTTY ? SHOW_MS.terminal : SHOW_MS.plain;
  let shownAtMs = -Infinity;
  let isLineOpen = false;
  const eraseLine = (): void => {
    if (isLineOpen) out.write(ERASE_LINE);
    isLineOpen = false;
  };
  return {
    show(state) {
      const nowMs = performance.now();
      if (nowMs - shownAtMs < everyMs) return;
      shownAtMs = nowMs;
      if (!out.isTTY) return void out.write(`${printState(state)}\n`);
      out.write(ERASE_LINE + printBar(state.sent / state.total) + printState(state));
      isLineOpen = true;
    },
    say(line) {
      eraseLine();
      out.write(`${line}\n`);
    },
    end: eraseLine,
  };
}

function printBar(share: number): string {
  const full = Math.round(Math.min(1, share) * BAR_CELLS);
  return `  ${"█".repeat(full)}${"░".repeat(BAR_CELLS - full)}`;
}

function printState({ sent, total, perS, resets, resetsTotal }: ProgressState): string {
  const rate = `${print(perS)} a second`;
  return `  newsletter ${print(sent)} of ${print(total)}, ${rate}; password resets ${resets} of ${resetsTotal}`;
}

export function print(count: number): string {
  return Math.round(count).toLocaleString("en");
}
