// What a benchmark gives back, and how it is judged. A figure that could not be measured is null or says in words what
// was missing; it is never guessed, and a bar on it is not met.

export interface BenchOptions {
  /** Ends within 45 s on two cores, peers included. */
  readonly quick: boolean;
  /** Every fsync takes 8 ms, one after another. */
  readonly slowDisk: boolean;
  /** One line about what is being done now. */
  progress(line: string): void;
}

export interface Bar {
  readonly key: string;
  readonly op: ">=" | "<=";
  readonly value: number;
}

export interface BenchReport {
  readonly figures: Readonly<Record<string, number | string | null>>;
  readonly bars: readonly Bar[];
  readonly notes: readonly string[];
}

/** What a peer measured, or the program without which it could not. */
export type PeerResult = { readonly perS: number } | { readonly missing: string };

export interface PeerLoad {
  readonly messages: number;
  readonly messageBytes: number;
  readonly connections: number;
}

export type BarVerdict = "met" | "missed" | "not measured";

export function judgeBar(bar: Bar, figures: BenchReport["figures"]): BarVerdict {
  const figure = figures[bar.key];
  if (typeof figure !== "number" || Number.isNaN(figure)) return "not measured";
  return (bar.op === ">=" ? figure >= bar.value : figure <= bar.value) ? "met" : "missed";
}

/** The figure of a peer for the report: messages per second, or that it is missing. */
export function peerFigure(result: PeerResult): number | string {
  return "perS" in result ? Math.round(result.perS) : `missing: ${result.missing}`;
}
