// What the settings of PostgreSQL mean for mail that was accepted: whether it is durable, and whether there is room for
// our sessions. Pure.

import { finding, foundIf, type Finding } from "./finding.ts";
import type { ReplicaRow, ServerRow } from "./server-facts-store.ts";

export interface ServerFacts {
  readonly server: ServerRow;
  /** Sessions that our processes open at most, by the configuration. */
  readonly connectionsNeeded: number;
  readonly isEmbedded: boolean;
  /** The day it is here, ISO. */
  readonly today: string;
}

/** As check-server.ts has it. */
const VERSION_NUMBER_MIN = 150_000;

/** postgresql.org/support/versioning: five years after the release of each. */
const END_OF_LIFE: Readonly<Record<number, string>> = {
  15: "2027-11-11",
  16: "2028-11-09",
  17: "2029-11-08",
  18: "2030-11-14",
};

export function judgeServer(facts: ServerFacts): readonly Finding[] {
  return [
    ...judgeVersion(facts),
    ...judgeDurability(facts),
    ...judgeReplicas(facts.server),
    ...judgeSessions(facts),
    ...judgeRoom(facts.server),
    ...judgeTimeouts(facts.server),
    ...judgeRest(facts),
  ];
}

function judgeVersion({ server: { version, version_number: number }, today }: ServerFacts): readonly Finding[] {
  if (number < VERSION_NUMBER_MIN) {
    return [finding("server_too_old", `PostgreSQL ${version}; 15 or later is needed`, { version })];
  }
  const end = END_OF_LIFE[Math.floor(number / 10_000)];
  return foundIf(end !== undefined && today > end, () =>
    finding("server_end_of_life", `PostgreSQL ${version} is supported until ${end}`, { version, until: end! }),
  );
}

function judgeDurability({ server }: ServerFacts): readonly Finding[] {
  const { settings, synchronous_commit: commit, is_in_recovery: isInRecovery } = server;
  return [
    ...foundIf(isInRecovery, () => finding("server_in_recovery", "the server replays another one")),
    ...foundIf(settings["fsync"] === "off", () => finding("fsync_off", "fsync is off")),
    ...foundIf(settings["full_page_writes"] === "off", () =>
      finding("full_page_writes_off", "full_page_writes is off"),
    ),
    ...foundIf(commit !== "on" && commit !== "remote_apply", () =>
      finding("synchronous_commit_off", `synchronous_commit is ${commit}`, { synchronous_commit: commit }),
    ),
    ...foundIf(settings["data_checksums"] === "off", () => finding("checksums_off", "the cluster has no checksums")),
    ...foundIf(settings["default_transaction_read_only"] === "on", () =>
      finding("read_only_by_default", "default_transaction_read_only is on"),
    ),
    ...foundIf((settings["default_transaction_isolation"] ?? "read committed") !== "read committed", () =>
      finding("isolation_raised", `default_transaction_isolation is ${settings["default_transaction_isolation"]}`),
    ),
  ];
}

/** What such a standby may confirm counts as gone; WAL that is on its way is no gap worth a word. */
const CONFIRMING = new Set(["sync", "quorum"]);

function judgeReplicas({ settings, replicas }: ServerRow): readonly Finding[] {
  const names = settings["synchronous_standby_names"] ?? "";
  if (names !== "") {
    const isHidden = replicas.some(({ sync_state: state }) => state === null);
    const isThere = replicas.some(({ sync_state: state }) => state !== null && CONFIRMING.has(state));
    return foundIf(!isThere && !isHidden, () =>
      finding("synchronous_standby_missing", `synchronous_standby_names is "${names}", and none of them is there`),
    );
  }
  return replicas.filter(({ sync_state: state }) => state === "async").map(tellReplica);
}

function tellReplica({ name, gap_bytes: gap }: ReplicaRow): Finding {
  const behind = gap === null ? "an unknown number of" : String(gap);
  const found = `replica "${name}" is asynchronous, and ${behind} bytes of WAL behind now`;
  return finding("replica_asynchronous", found, { replica: name, ...(gap === null ? {} : { gap_bytes: gap }) });
}

function judgeSessions({ server, connectionsNeeded: needed }: ServerFacts): readonly Finding[] {
  const { settings, is_superuser: isSuperuser, session_limit: limit, sessions, own_sessions: own } = server;
  const of = (name: string): number => Number(settings[name] ?? 0);
  const reserved = isSuperuser ? 0 : of("superuser_reserved_connections") + of("reserved_connections");
  const room = Math.min(of("max_connections") - reserved, limit ?? Infinity);
  const others = sessions - own;
  const figures = { needed, room, others };
  if (room < needed) {
    return [
      finding("connections_short", `Postlane opens up to ${needed} sessions; there is room for ${room}`, figures),
    ];
  }
  return foundIf(others + needed > room, () =>
    finding(
      "connections_tight",
      `Postlane opens up to ${needed} sessions, others have ${others} open, there is room for ${room}`,
      figures,
    ),
  );
}

/** PostgreSQL's own default. */
const LOCKS_MIN = 64;
/** In blocks of 8 KB: 64 MB, half of the default, which a server has that nobody ever looked at. */
const BUFFERS_MIN = 8192;

function judgeRoom({ settings }: ServerRow): readonly Finding[] {
  const locks = Number(settings["max_locks_per_transaction"] ?? LOCKS_MIN);
  const buffers = Number(settings["shared_buffers"] ?? BUFFERS_MIN);
  return [
    ...foundIf(locks < LOCKS_MIN, () =>
      finding("locks_few", `max_locks_per_transaction is ${locks}`, { max_locks_per_transaction: locks }),
    ),
    ...foundIf(buffers < BUFFERS_MIN, () =>
      finding("buffers_small", `shared_buffers is ${buffers / 128} MB`, { shared_buffers_bytes: buffers * 8192 }),
    ),
  ];
}

/** The driver gives up after as long by itself (database.ts); a statement of ours that is longer has a reason. */
const STATEMENT_MS_MIN = 60_000;
/** A dispatcher whose machine was busy takes so long at most between two statements of a transaction. */
const IDLE_MS_MIN = 10_000;

function judgeTimeouts({ settings }: ServerRow): readonly Finding[] {
  const ms = (name: string): number => Number(settings[name] ?? 0);
  const [statement, transaction] = [ms("statement_timeout"), ms("transaction_timeout")];
  const idle = ms("idle_in_transaction_session_timeout");
  const shortest = Math.min(...[statement, transaction].filter((limit) => limit > 0));
  return [
    ...foundIf(shortest < STATEMENT_MS_MIN, () =>
      finding("statement_timeout_short", `the server ends our statements after ${shortest} ms`, { limit_ms: shortest }),
    ),
    ...foundIf(idle > 0 && idle < IDLE_MS_MIN, () =>
      finding("idle_timeout_short", `idle_in_transaction_session_timeout is ${idle} ms`, { limit_ms: idle }),
    ),
  ];
}

/** What crashed is looked at within a few hours, or never. */
const RESTARTED_S_MAX = 3600;

function judgeRest({ server, isEmbedded }: ServerFacts): readonly Finding[] {
  const { settings, up_s: upS, sees_others: seesOthers } = server;
  return [
    ...foundIf(settings["autovacuum"] === "off" || settings["track_counts"] === "off", () =>
      finding("autovacuum_off", `autovacuum is ${settings["autovacuum"]}, track_counts is ${settings["track_counts"]}`),
    ),
    ...foundIf(Number(settings["old_snapshot_threshold"] ?? -1) >= 0, () =>
      finding("snapshot_too_old_on", `old_snapshot_threshold is ${settings["old_snapshot_threshold"]} min`),
    ),
    ...foundIf(settings["jit"] === "on", () => finding("jit_on", "jit is on")),
    // The embedded server has no sessions of others.
    ...foundIf(!isEmbedded && settings["idle_in_transaction_session_timeout"] === "0", () =>
      finding("idle_transactions_unbounded", "idle_in_transaction_session_timeout is 0"),
    ),
    ...foundIf(!isEmbedded && upS < RESTARTED_S_MAX, () =>
      finding("server_restarted", `the server was started ${Math.round(upS / 60)} min ago`, { up_s: Math.round(upS) }),
    ),
    ...foundIf(!seesOthers, () => finding("statistics_hidden", "this role sees its own sessions only")),
  ];
}

/** Due times are whole seconds for people; a minute is what a password reset may be late. */
const CLOCK_DIFFERENCE_MS_MAX = 1000;
const CLOCK_FAR_OFF_MS_MIN = 60_000;

/** `roundMs`: how long the question took, within which the server's moment lies. */
export function judgeClock(serverAtMs: number, oursAtMs: number, roundMs: number): readonly Finding[] {
  const difference = Math.round(serverAtMs - oursAtMs);
  const certain = Math.max(0, Math.abs(difference) - roundMs);
  if (certain <= CLOCK_DIFFERENCE_MS_MAX) return [];
  const found = `the database's clock is ${(certain / 1000).toFixed(1)} s ${difference > 0 ? "ahead of" : "behind"} ours`;
  const code = certain > CLOCK_FAR_OFF_MS_MIN ? "database_clock_far_off" : "database_clock_differs";
  return [finding(code, found, { difference_ms: difference })];
}
