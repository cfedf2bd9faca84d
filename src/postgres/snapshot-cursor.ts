// Where somebody last looked at a table whose rows carry the transaction that last touched them: what comes later is found
// by it, each change once, as soon as it is committed, however late that is (docs/decisions/0003). Pure.

/** Transactions from `xmax` on, and those in `open`, have not been seen. */
export interface SnapshotCursor {
  readonly xmax: string;
  readonly open: readonly string[];
}

/** Before the first look: a cursor that finds nothing, so that the look only answers where it stood. */
export const BEFORE_FIRST_LOOK: SnapshotCursor = { xmax: "18446744073709551615", open: [] };

/** Of `pg_current_snapshot()::text`, which is `xmin:xmax:open,open`. */
export function cursorOf(snapshot: string): SnapshotCursor {
  const [, xmax = "", open = ""] = snapshot.split(":");
  return { xmax, open: open === "" ? [] : open.split(",") };
}
