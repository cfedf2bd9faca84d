// Pressure stall information of the kernel (`/proc/pressure/*`): the share of the last 10 s in which some task waited
// for a resource. Reads one file's text; a kernel without it (before 4.20, or with psi=0) has no such file.

const SOME_AVG10 = /^some avg10=(\d{1,3}(?:\.\d{1,6})?) /m;

/** `some avg10=1.30 …` → 0.013; undefined for anything else. */
export function parsePressure(text: string): number | undefined {
  const [, percent] = SOME_AVG10.exec(text.slice(0, PRESSURE_CHARS_MAX)) ?? [];
  return percent === undefined ? undefined : Math.min(1, Math.round(Number(percent) * 100) / 10_000);
}

/** Two lines of about 60. */
const PRESSURE_CHARS_MAX = 1024;
