// How much of the last seconds some task of this machine waited for CPU (pressure stall information of Linux). From the
// running total and not from the kernel's own averages: those lag ten seconds behind. Pure; the text is passed in.

export interface CpuPressure {
  /** Takes what `/proc/pressure/cpu` says now; undefined: there is no such file. */
  take(text: string | undefined, atMs: number): void;
  /** Share of the last `SPAN_MS`, 0 to 1; null: not known. */
  share(): number | null;
}

/** Long enough to be no hiccup, short enough to be told within the seconds in which a person asks. */
const SPAN_MS = 3000;

interface Sample {
  readonly atMs: number;
  readonly totalUs: number;
}

export function createCpuPressure(): CpuPressure {
  let samples: readonly Sample[] = [];
  return {
    take(text, atMs) {
      const totalUs = readTotalUs(text ?? "");
      if (totalUs === undefined) return;
      const youngestBefore = samples.findLastIndex((sample) => sample.atMs <= atMs - SPAN_MS);
      samples = [...samples.slice(Math.max(0, youngestBefore)), { atMs, totalUs }];
    },
    share() {
      const [first, last] = [samples[0], samples.at(-1)];
      if (first === undefined || last === undefined || last.atMs <= first.atMs) return null;
      return Math.min(1, Math.max(0, (last.totalUs - first.totalUs) / 1000 / (last.atMs - first.atMs)));
    },
  };
}

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and a line `full` that says nothing of CPU. */
function readTotalUs(text: string): number | undefined {
  const [, digits] = /^some [^\n]{0,100}\btotal=(\d{1,15})/m.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
