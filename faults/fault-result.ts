// What one fault came to: a row of the JSON that `npm run faults` prints, and of docs/reference/guarantees.json.

export interface FaultResult {
  readonly name: string;
  readonly ok: boolean;
  readonly runs: number;
  readonly accepted: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly unknown: number;
  /** Null: nothing had to recover. */
  readonly recovery_ms_max: number | null;
  /** Null, or why it was not tried. */
  readonly skipped: string | null;
  readonly complaints: readonly string[];
  readonly notes: readonly string[];
  readonly seconds: number;
}

/** Of a fault that was not tried, or that told nothing. */
export function emptyResult(name: string, ok: boolean): FaultResult {
  return {
    name,
    ok,
    runs: 0,
    accepted: 0,
    lost: 0,
    duplicates: 0,
    unknown: 0,
    recovery_ms_max: null,
    skipped: null,
    complaints: [],
    notes: [],
    seconds: 0,
  };
}
