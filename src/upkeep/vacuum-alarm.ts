// What keeps vacuum from cleaning up behind the queue raises an alarm, once there is much to clean up: each claim wades
// through what is dead, and tables and indexes grow. So does a replication slot for which the server keeps more of its log
// of changes than its disk should hold. Names who does it and what ends it, and says when it is over. Pure.
//
// How long something has held on is counted here, by its transaction id, and not from the begin of its transaction: one that
// is open for hours and takes a new snapshot with each statement holds nothing back, and a role without rights does not
// see when others began.

import { tellReason, type Reason } from "../mail/reasons.ts";
import type { Holder, VacuumState } from "./vacuum-store.ts";

export interface VacuumLimits {
  readonly deadRows: number;
  readonly heldForMs: number;
  readonly slotWalBytes: number;
}

export interface VacuumAlarm {
  readonly reason: Reason;
  readonly isRaised: boolean;
  readonly detail: string;
}

export interface VacuumWatch {
  /** The alarms that begin, name somebody else, or end with this look. */
  look(state: VacuumState, nowMs: number): readonly VacuumAlarm[];
}

/** An alarm ends below this share of its limit: at the limit it would begin and end with every look. */
const END_SHARE = 0.5;

interface Cause {
  readonly key: string;
  readonly who: string;
  readonly remedy: string;
  readonly heldMs: number;
  readonly transactions: number;
  readonly facts: Readonly<Record<string, string | number>>;
}

export function createVacuumWatch(limits: VacuumLimits): VacuumWatch {
  const since = new Map<string, number>();
  let raised: { readonly key: string; readonly reason: Reason } | undefined;
  const slots = new Map<string, Reason>();

  const causesOf = (state: VacuumState, nowMs: number): readonly Cause[] => {
    const found = [...state.holders.flatMap((holder) => holding(holder, state)), ...withoutAutovacuum(state)];
    for (const key of since.keys()) if (found.every((one) => one.key !== key)) since.delete(key);
    return found
      .map((one) => {
        since.set(one.key, since.get(one.key) ?? nowMs);
        return { ...one, heldMs: nowMs - since.get(one.key)! };
      })
      .filter(({ heldMs }) => heldMs >= limits.heldForMs)
      .toSorted((one, other) => other.transactions - one.transactions);
  };
  const lookAtRows = (state: VacuumState, nowMs: number): readonly VacuumAlarm[] => {
    const [cause] = causesOf(state, nowMs);
    const isMuch = state.dead_rows >= limits.deadRows * (raised === undefined ? 1 : END_SHARE);
    if (cause === undefined || !isMuch) {
      const ended = raised?.reason;
      raised = undefined;
      return ended === undefined ? [] : [{ reason: ended, isRaised: false, detail: "vacuum can clean up again" }];
    }
    if (raised?.key === cause.key) return [];
    const reason = reasonOf(cause, state);
    raised = { key: cause.key, reason };
    return [{ reason, isRaised: true, detail: `${tellReason(reason)}; ${cause.remedy}` }];
  };
  const lookAtSlots = ({ holders }: VacuumState): readonly VacuumAlarm[] => {
    const kept = new Map(holders.flatMap((one) => (one.kind === "slot" ? [[one.name ?? "", one] as const] : [])));
    const over = [...slots].filter(([name]) => (kept.get(name)?.wal_bytes ?? 0) < limits.slotWalBytes * END_SHARE);
    for (const [name] of over) slots.delete(name);
    const begun = [...kept].filter(([name, slot]) => !slots.has(name) && (slot.wal_bytes ?? 0) >= limits.slotWalBytes);
    for (const [name, slot] of begun) slots.set(name, slotReason(name, slot));
    return [
      ...over.map(([name, reason]) => ({ reason, isRaised: false, detail: `replication slot ${name} keeps little` })),
      ...begun.map(([name, slot]) => {
        const reason = slotReason(name, slot);
        return { reason, isRaised: true, detail: `${tellReason(reason)}; ${dropSlot(name)}` };
      }),
    ];
  };
  return { look: (state, nowMs) => [...lookAtRows(state, nowMs), ...lookAtSlots(state)] };
}

type Found = Omit<Cause, "heldMs">;

function holding(holder: Holder, { sees_all: seesAll }: VacuumState): readonly Found[] {
  const { kind, pid, horizon, transactions } = holder;
  const name = plain(holder.name ?? "");
  if (horizon === null) return [];
  const found = { key: [kind, pid, name, horizon].join(" "), transactions: transactions ?? 0 };
  switch (kind) {
    case "session":
    case "replica":
      return [
        {
          ...found,
          who: `${kind === "replica" ? "the sender to a replica" : "a transaction"} (${printSession(holder, seesAll)})`,
          remedy: `end it: SELECT pg_terminate_backend(${pid})`,
          facts: { pid: pid ?? 0, ...factsOf(holder) },
        },
      ];
    case "prepared":
      return [
        {
          ...found,
          who: `the prepared transaction "${name}" (${[userOf(holder), openOf(holder)].filter(Boolean).join(", ")})`,
          remedy: `end it: ROLLBACK PREPARED '${name.replaceAll("'", "''")}', or COMMIT PREPARED`,
          facts: { prepared: name, ...factsOf(holder) },
        },
      ];
    case "slot":
      return [
        {
          ...found,
          who: `the replication slot ${name} (${holder.is_active ? "its replica is connected" : "nobody uses it"})`,
          remedy: dropSlot(name),
          facts: { slot: name },
        },
      ];
  }
}

function withoutAutovacuum({
  is_autovacuum_on: isOn,
  tables_without_autovacuum: tables,
}: VacuumState): readonly Found[] {
  if (isOn && tables.length === 0) return [];
  const where = isOn ? ` for ${tables.join(", ")}` : "";
  return [
    {
      key: `autovacuum${where}`,
      // Whoever holds a horizon is named before: autovacuum could do nothing against that.
      transactions: -1,
      who: `nobody: autovacuum is off${where}`,
      remedy: isOn
        ? `let it work: ALTER TABLE postlane.${tables[0]} RESET (autovacuum_enabled)`
        : "let it work: ALTER SYSTEM SET autovacuum = on (and track_counts), then SELECT pg_reload_conf()",
      facts: {},
    },
  ];
}

function reasonOf({ who, heldMs, facts }: Cause, { dead_rows, table }: VacuumState): Reason {
  const evidence = { dead_rows, table: table ?? "", holder: who, held_s: Math.round(heldMs / 1000), ...facts };
  return { code: "vacuum_held_back", limits: "pace", limit: 0, evidence };
}

function slotReason(slot: string, { wal_bytes, is_active }: Holder): Reason {
  const evidence = { slot: plain(slot), wal_bytes: wal_bytes ?? 0, is_active: is_active ? 1 : 0 };
  return { code: "slot_keeps_wal", limits: "nothing", limit: 0, evidence };
}

function dropSlot(name: string): string {
  return `bring its replica back, or: SELECT pg_drop_replication_slot('${plain(name)}')`;
}

function factsOf({ application, user_name: user }: Holder): Readonly<Record<string, string>> {
  return {
    ...(application === null ? {} : { application: plain(application) }),
    ...(user === null ? {} : { user: plain(user) }),
  };
}

function printSession(holder: Holder, seesAll: boolean): string {
  const { pid, application } = holder;
  const unseen = "since when cannot be seen without the role pg_read_all_stats";
  const since = openOf(holder) ?? (seesAll ? undefined : unseen);
  const words = [`server process ${pid}`, application === null ? undefined : plain(application), userOf(holder), since];
  return words.filter((word) => word !== undefined).join(", ");
}

function userOf({ user_name: user }: Holder): string | undefined {
  return user === null ? undefined : `user ${plain(user)}`;
}

function openOf({ open_ms: openMs }: Holder): string | undefined {
  return openMs === null ? undefined : `open for ${Math.round(openMs / 1000)} s`;
}

/** Names are somebody else's words, and go to a terminal. */
function plain(words: string): string {
  return words.replaceAll(/\p{Cc}/gu, " ");
}
