// The catalogue of reasons: everything that can limit a lane, an outlet, a destination or a message, under one code that
// `explain`, the log and the metrics use alike. Each entry has its evidence's fields, the sentence that tells them, and
// what would lift it. docs/reference/reasons.md is this file for people; a test compares them, and another one knows a
// scenario that produces each code.

/** The figures and words that a reason rests on, by the names that its entry lists. Units are in the names. */
export type Evidence = Readonly<Record<string, string | number>>;

export interface Reason {
  readonly code: ReasonCode;
  /** What is limited: hand-overs open at once, hand-overs per second, or all of it (`stop`). */
  readonly limits: "window" | "pace" | "stop" | "nothing";
  /** The window, or the pace per second, that this reason alone would leave; 0 for `stop`. */
  readonly limit: number;
  readonly evidence: Evidence;
}

interface ReasonEntry {
  /** One sentence without figures. */
  readonly meaning: string;
  /** Names of the evidence fields that are always there. */
  readonly evidence: readonly string[];
  /** Fields that are there when they are known. */
  readonly optional?: readonly string[];
  readonly remedy: string;
  /** The sentence of one case. */
  readonly tell: (evidence: Evidence) => string;
}

export const REASONS = {
  // ---- what people decided
  lane_paused: {
    meaning: "The lane is paused by a person.",
    evidence: ["lane", "since"],
    remedy: "`postlane lane resume NAME`",
    tell: ({ lane, since }) => `lane ${lane} is paused since ${since}`,
  },
  // ---- what the guard holds
  database_copied: {
    meaning: "The database was copied from another one: the guard holds all mail until a person confirms it.",
    evidence: ["since", "remembered", "seen"],
    remedy: "`postlane guard status`, then `postlane guard confirm`",
    tell: ({ since, remembered, seen }) =>
      `the guard holds all mail since ${since}: mail was sent from database ${remembered}, and this one is ${seen}, ` +
      "so it is a copy: restored from a dump, cloned, or moved to another server",
  },
  database_rewound: {
    meaning: "The database lacks what was in it before: the guard holds bulk mail until a person confirms it.",
    evidence: ["since", "heartbeats"],
    optional: ["behind_s"],
    remedy: "`postlane guard status`, then `postlane guard confirm`",
    tell: ({ since, heartbeats, behind_s }) =>
      `the guard holds bulk mail since ${since}: the database lacks its last ${heartbeats} heartbeats` +
      `${behind_s === undefined ? "" : ` (${behind_s} s)`}, ` +
      "so it was brought back from a backup or a snapshot, or a replica took over that had not got everything",
  },
  heartbeat_gap: {
    meaning:
      "Bulk mail was being sent at the last heartbeat, and that is long past: the guard holds it until a person confirms it.",
    evidence: ["since", "gap_s"],
    remedy: "`postlane guard status`, then `postlane guard confirm`",
    tell: ({ since, gap_s }) =>
      `the guard holds bulk mail since ${since}: it was being sent at the last heartbeat, ${gap_s} s before; ` +
      "this machine was down for that long, or was brought back from a snapshot",
  },
  lane_full: {
    meaning: "The queue is full, and the lane takes no more mail; what it has goes out.",
    evidence: ["lane", "because"],
    remedy: "wait until mail is out, or raise the limit under `queue`",
    tell: ({ lane, because }) => `lane ${lane} takes no more mail: ${because}`,
  },
  campaign_paused: {
    meaning: "The campaign is paused by a person.",
    evidence: ["campaign", "waiting"],
    remedy: "`postlane campaign resume NAME`",
    tell: ({ campaign, waiting }) => `campaign "${campaign}" is paused; ${waiting} messages wait`,
  },
  canary_failed: {
    meaning: "Too much of the campaign's canary has failed, and the campaign is paused by that rule.",
    evidence: ["campaign", "waiting", "rows", "failed", "limit_percent"],
    remedy: "look at what failed (`postlane campaign status NAME`), then `postlane campaign resume NAME`",
    tell: ({ campaign, waiting, rows, failed, limit_percent }) =>
      `campaign "${campaign}" is paused by its canary: ${failed} of the first ${rows} failed, ${limit_percent} % may; ${waiting} messages wait`,
  },
  campaign_canary: {
    meaning: "The campaign waits for what becomes of its canary.",
    evidence: ["campaign", "waiting", "rows"],
    remedy: "nothing: it goes on by itself, or is paused; `postlane campaign status NAME` says when",
    tell: ({ campaign, waiting, rows }) =>
      `campaign "${campaign}" waits for its canary of ${rows}; ${waiting} recipients have no message yet`,
  },
  campaign_pace: {
    meaning: "The campaign goes at the pace that it was started with.",
    evidence: ["campaign", "waiting", "pace_per_s"],
    remedy: "nothing: a person wished it so",
    tell: ({ campaign, waiting, pace_per_s }) =>
      `campaign "${campaign}" goes at its pace of ${pace_per_s}/s; ${waiting} recipients have no message yet`,
  },
  outlet_paused: {
    meaning: "The outlet is paused by a person.",
    evidence: ["outlet", "since"],
    remedy: "`postlane outlet resume NAME`",
    tell: ({ outlet, since }) => `outlet ${outlet} is paused since ${since}`,
  },
  destination_paused: {
    meaning: "The destination is paused by a person.",
    evidence: ["destination", "since"],
    remedy: "`postlane destination resume DOMAIN`",
    tell: ({ destination, since }) => `destination ${destination} is paused since ${since}`,
  },
  max_rate: {
    meaning: "The outlet's `max_rate` is reached.",
    evidence: ["max_per_s"],
    remedy: "raise `max_rate` of the outlet, if the other side allows it",
    tell: ({ max_per_s }) => `max_rate of ${max_per_s}/s`,
  },
  window_fixed: {
    meaning: "As many hand-overs are open as the outlet's `max_open` allows.",
    evidence: ["max_open"],
    remedy: "raise `max_open` of the outlet, or shorten the way to the relay",
    tell: ({ max_open }) => `configured for ${max_open} open at once`,
  },
  lane_share: {
    meaning: "The lane may use only its part of an outlet that others use too.",
    evidence: ["share_percent", "max_open"],
    remedy: "give the lane an outlet of its own, or raise `max_open`",
    tell: ({ share_percent, max_open }) => `this lane's share is ${share_percent} % of ${max_open}`,
  },
  // ---- between lanes
  gave_way: {
    meaning: "Bulk gives way while transactional mail waits.",
    evidence: [],
    optional: ["waiting_ms"],
    remedy: "nothing: it is given back as soon as transactional mail flows",
    tell: () => "gives way while transactional mail waits",
  },
  relay_shared: {
    meaning: "Transactional mail has the first claim to what the relay can take.",
    evidence: ["transactional_per_s", "pace_per_s"],
    remedy: "give the lanes a relay each",
    tell: ({ transactional_per_s, pace_per_s }) =>
      `transactional mail takes ${transactional_per_s}/s of the relay's ${pace_per_s}/s`,
  },
  // ---- the relay's queue
  relay_drain: {
    meaning: "The relay is kept at its target: what it drains is what it is given.",
    evidence: ["queue", "target", "drain_per_s"],
    remedy: "a relay that drains faster: more delivery processes, a faster disk, or a second relay",
    tell: ({ queue, target, drain_per_s }) => `relay drains ${drain_per_s}/s; working queue ${queue} of ${target}`,
  },
  relay_queue: {
    meaning: "The relay's working queue is over its target, and is left to drain.",
    evidence: ["queue", "target", "drain_per_s"],
    remedy: "nothing, if it drains; else look at the relay's log and at the destinations in its queue",
    tell: ({ queue, target, drain_per_s }) => `relay working queue ${queue} of ${target} (drains ${drain_per_s}/s)`,
  },
  max_queue: {
    meaning: "The target is cut to the outlet's `max_queue`.",
    evidence: ["queue", "max_queue", "drain_per_s"],
    remedy: "raise `max_queue`, if the relay's queue may be longer",
    tell: ({ queue, max_queue, drain_per_s }) =>
      `relay working queue ${queue} of max_queue ${max_queue} (drains ${drain_per_s}/s)`,
  },
  relay_stalled: {
    meaning: "The relay takes mail but delivers none.",
    evidence: ["queue", "stalled_s"],
    remedy: "look at the relay: its log, its network, its disk",
    tell: ({ queue, stalled_s }) => `relay has ${queue} messages and has delivered none for ${stalled_s} s`,
  },
  relay_unmeasured: {
    meaning: "Nothing is known of the relay's drain rate yet, so it is probed at a low pace.",
    evidence: ["pace_per_s"],
    remedy: "nothing: the pace grows with what is seen",
    tell: ({ pace_per_s }) => `the relay's drain rate is not known yet; probing with ${pace_per_s}/s`,
  },
  plug_full: {
    meaning: "The relay holds as much stuck mail as `max_plug` allows.",
    evidence: ["deferred", "max_plug"],
    remedy:
      "see `postlane queue shape` for the destinations; a relay made by `postlane postfix init` sends its plug home",
    tell: ({ deferred, max_plug }) => `relay has ${deferred} deferred messages of max_plug ${max_plug}`,
  },
  disk_slow: {
    meaning: "The disk of the relay's spool takes long for an fsync.",
    evidence: ["fsync_ms", "usual_ms"],
    remedy: "find who else writes to that disk; see `postlane doctor disk`",
    tell: ({ fsync_ms, usual_ms }) => `its disk takes ${fsync_ms} ms per fsync (median of the hour ${usual_ms} ms)`,
  },
  disk_full: {
    meaning: "The disk of the relay's spool is nearly full.",
    evidence: ["free_percent"],
    remedy: "free space on the relay's disk",
    tell: ({ free_percent }) => `the relay's disk has ${free_percent} % free`,
  },
  machine_pressed: {
    meaning: "Tasks on the relay's machine wait for CPU, disk or memory (pressure stall information).",
    evidence: ["resource", "waiting_percent"],
    remedy: "find what else runs on that machine",
    tell: ({ resource, waiting_percent }) => `its machine waits for ${resource} ${waiting_percent} % of the time`,
  },
  readings_stale: {
    meaning: "The relay's agent is silent, so only replies tell how the relay is.",
    evidence: ["outlet", "silent_s"],
    remedy: "start `postlane agent --outlet NAME` beside the relay, and look at its log",
    tell: ({ outlet, silent_s }) => `no reading of outlet ${outlet} for ${silent_s} s`,
  },
  // ---- the relay's replies
  reply_slow: {
    meaning: "The relay takes longer to answer than it usually does.",
    evidence: ["reply_ms", "usual_ms"],
    remedy: "look at the relay's load and disk",
    tell: ({ reply_ms, usual_ms }) => `the relay answers in ${reply_ms} ms (usually ${usual_ms} ms)`,
  },
  relay_pushes_back: {
    meaning: "The relay answers with 4yz or closes connections (421) more often than it should.",
    evidence: ["share_percent"],
    optional: ["reply"],
    remedy: "read the reply: it says what the relay wants",
    tell: ({ share_percent, reply }) =>
      `${share_percent} % of the relay's answers are 4yz${reply === undefined ? "" : `, the last: ${reply}`}`,
  },
  relay_unreachable: {
    meaning: "No connection to the relay can be made.",
    evidence: ["failures", "probe_in_s"],
    optional: ["error"],
    remedy: "start the relay, or mend `hosts` of the outlet",
    tell: tellFailing("cannot be reached"),
  },
  credentials_refused: {
    meaning: "The relay refuses our user name and password.",
    evidence: ["failures", "probe_in_s"],
    optional: ["error"],
    remedy: "mend `auth` of the outlet",
    tell: tellFailing("refuses our credentials"),
  },
  tls_refused: {
    meaning: "TLS with the relay fails.",
    evidence: ["failures", "probe_in_s"],
    optional: ["error"],
    remedy: "mend the relay's certificate, or `tls` and `ca_file` of the outlet",
    tell: tellFailing("fails at TLS"),
  },
  outlet_failing: {
    meaning: "The relay answers, but lets no mail through.",
    evidence: ["failures", "probe_in_s"],
    optional: ["error"],
    remedy: "read the reply: it says what the relay wants",
    tell: tellFailing("fails"),
  },
  probing: {
    meaning: "One message finds out whether the outlet or the destination answers again.",
    evidence: ["failures"],
    optional: ["error"],
    remedy: "nothing: its answer decides",
    tell: ({ failures, error }) =>
      `one probe after ${printFailures(failures)}${error === undefined ? "" : `, the last: ${error}`}`,
  },
  // ---- destinations
  destination_failing: {
    meaning: "The destination does not take mail; its messages wait for the next probe.",
    evidence: ["destination", "failures", "probe_in_s"],
    optional: ["error", "waiting"],
    remedy: "nothing on this side; the messages wait and cost nothing",
    tell: (evidence) => `${evidence["destination"]} ${tellFailing("fails")(evidence)}`,
  },
  destinations_failing: {
    meaning: "Several destinations do not take mail; their messages wait for the next probes.",
    evidence: ["destinations", "waiting"],
    optional: ["largest"],
    remedy: "see `postlane destination list`",
    tell: ({ destinations, waiting, largest }) =>
      `${destinations} destinations take no mail${largest === undefined ? "" : ` (most of it for ${largest})`}; ` +
      `${waiting} messages wait for them`,
  },
  destination_unproven: {
    meaning: "The destination has not lately answered; few messages at a time find out whether it does.",
    evidence: ["destination", "allowed"],
    remedy: "nothing: it is free once it has answered",
    tell: ({ destination, allowed }) => `${destination} has not answered lately: ${allowed} at a time`,
  },
  policy_refusals: {
    meaning: "Too many answers are refusals of policy or reputation: bulk to it stops, and its messages are held.",
    evidence: ["scope", "name", "refusals", "answers", "max_percent"],
    optional: ["reply"],
    remedy: "find out why (the reply says it), then `postlane destination resume` or `postlane outlet resume`",
    tell: ({ scope, name, refusals, answers, max_percent, reply }) =>
      `${scope} ${name} refused ${refusals} of ${answers} by policy (max_refusals ${max_percent} %)` +
      (reply === undefined ? "" : `, such as: ${reply}`),
  },
  // ---- our own processes and the database
  no_dispatcher: {
    meaning: "No dispatcher serves the lane.",
    evidence: ["lane"],
    optional: ["since"],
    remedy: "run `postlane up`, or `postlane dispatcher --lane NAME`; its log says why it ended",
    tell: ({ lane, since }) =>
      `no dispatcher has been seen in lane ${lane}${since === undefined ? "" : ` since ${since}`}`,
  },
  no_progress: {
    meaning: "Messages wait and none was settled for `no_progress_alarm`.",
    evidence: ["lane", "queued", "quiet_s"],
    remedy: "the other reasons say why; if there is none, look at the dispatcher's log",
    tell: ({ lane, queued, quiet_s }) =>
      `${queued} messages wait in lane ${lane} and none was settled for ${quiet_s} s`,
  },
  database_silent: {
    meaning: "The database does not answer.",
    evidence: ["since"],
    optional: ["error"],
    remedy: "look at the database server and its disk",
    tell: ({ since, error }) => `the database does not answer since ${since}${error === undefined ? "" : `: ${error}`}`,
  },
  database_slow: {
    meaning: "A commit takes long.",
    evidence: ["commit_ms", "usual_ms"],
    remedy: "find who else writes to the database's disk; see `postlane doctor disk`",
    tell: ({ commit_ms, usual_ms }) => `a commit takes ${commit_ms} ms (median of the hour ${usual_ms} ms)`,
  },
  long_transaction: {
    meaning: "A transaction has been open for long: vacuum cannot clean up behind the queue, and claims slow down.",
    evidence: ["open_s", "pid"],
    optional: ["application"],
    remedy: "end that transaction, with `pg_terminate_backend` if its client does not",
    tell: ({ open_s, pid, application }) =>
      `a transaction is open for ${open_s} s (server process ${pid}${application === undefined ? "" : `, ${application}`})`,
  },
  vacuum_held_back: {
    meaning: "Vacuum cannot clean up behind the queue, and there is much to clean up: claims slow down, tables grow.",
    evidence: ["dead_rows", "table", "holder", "held_s"],
    optional: ["pid", "application", "user", "prepared", "slot"],
    remedy:
      "end who holds it back: `pg_terminate_backend(PID)`, ROLLBACK PREPARED, `pg_drop_replication_slot('NAME')`; or let autovacuum work",
    tell: ({ dead_rows, table, holder, held_s }) =>
      `${dead_rows} dead rows, most in table ${table}, are not cleaned up; vacuum is held back for ${held_s} s or longer by ${holder}`,
  },
  slot_keeps_wal: {
    meaning: "For a replication slot the server keeps more of its log of changes than its disk should hold.",
    evidence: ["slot", "wal_bytes", "is_active"],
    remedy: "bring its replica back, or `pg_drop_replication_slot('NAME')`",
    tell: ({ slot, wal_bytes, is_active }) =>
      `replication slot ${slot}${Number(is_active) === 1 ? "" : ", which nobody uses,"} keeps ${(Number(wal_bytes) / 1e9).toFixed(1)} GB of the server's log of changes`,
  },
  cpu_full: {
    meaning: "This machine's CPU has no time left.",
    evidence: ["waiting_percent"],
    remedy: "find what else runs here, or give the lanes a machine of their own",
    tell: ({ waiting_percent }) => `this machine's tasks wait for CPU ${waiting_percent} % of the time`,
  },
  // ---- one message
  not_due: {
    meaning: "The message waits for its next try.",
    evidence: ["due", "tries"],
    optional: ["reply"],
    remedy: "nothing: its time comes by itself",
    tell: ({ due, tries, reply }) =>
      `next tried at ${due} after ${tries} tries${reply === undefined ? "" : `, the last answer: ${reply}`}`,
  },
  message_held: {
    meaning: "The message is held.",
    evidence: [],
    optional: ["error"],
    remedy: "`postlane message release ID`, once the cause is mended",
    tell: ({ error }) => `held${error === undefined ? "" : `: ${error}`}`,
  },
  message_unknown: {
    meaning: "The message may have arrived or not (RFC 5321 §6.1), and waits for evidence or a person.",
    evidence: [],
    optional: ["error"],
    remedy: "`postlane unknown accept ID` or `postlane unknown resend ID`",
    tell: ({ error }) => `nobody can tell yet whether it arrived${error === undefined ? "" : `: ${error}`}`,
  },
  behind_others: {
    meaning: "The message is due and waits its turn.",
    evidence: ["waiting", "per_s"],
    remedy: "nothing",
    tell: ({ waiting, per_s }) => `due; ${waiting} messages wait in its lane, which sends ${per_s}/s`,
  },
  in_flight: {
    meaning: "The message is claimed by a dispatcher and is being handed over.",
    evidence: [],
    remedy: "nothing",
    tell: () => "a dispatcher is handing it over",
  },
  done: {
    meaning: "The message waits no longer.",
    evidence: ["state"],
    optional: ["reply"],
    remedy: "nothing",
    tell: ({ state, reply }) => `${state}${reply === undefined ? "" : `: ${reply}`}`,
  },
  // ---- what is worth knowing
  captured: {
    meaning: "The outlet keeps mail on this machine: nothing leaves it.",
    evidence: ["outlet"],
    remedy: "configure an outlet of type `smtp`",
    tell: ({ outlet }) => `nothing leaves this machine: outlet ${outlet} keeps the mail`,
  },
  nothing_comes_home: {
    meaning: "Without `returns.domain` failures go to the sender's address, and none comes back to Postlane.",
    evidence: [],
    remedy: "set `returns.domain` to a domain of yours for failure notices",
    tell: () => "failure notices go to the sender's address: returns.domain is not set",
  },
  unaccounted: {
    meaning: "Messages went through a relay that never confirmed them.",
    evidence: ["outlet", "messages"],
    remedy: "`postlane unaccounted list`, then `postlane unaccounted resend` for those of a relay that was lost",
    tell: ({ outlet, messages }) => `${messages} messages handed to outlet ${outlet} were never confirmed`,
  },
  nothing_limits: {
    meaning: "Nothing limits: all that is due goes out at once.",
    evidence: ["waiting", "per_s"],
    optional: ["empty_in_s"],
    remedy: "nothing",
    tell: ({ waiting, per_s, empty_in_s }) =>
      Number(waiting) === 0
        ? "nothing limits: nothing waits"
        : `nothing limits: ${waiting} wait, ${per_s}/s go out${empty_in_s === undefined ? "" : `, done in ${empty_in_s} s`}`,
  },
} as const satisfies Readonly<Record<string, ReasonEntry>>;

export type ReasonCode = keyof typeof REASONS;

export const REASON_CODES = Object.keys(REASONS) as readonly ReasonCode[];

/** The entry of a code, for whoever does not know which one it is. */
export function reasonEntry(code: ReasonCode): ReasonEntry {
  return REASONS[code];
}

/** One sentence, with the figures. */
export function tellReason({ code, evidence }: Pick<Reason, "code" | "evidence">): string {
  return reasonEntry(code).tell(evidence);
}

function tellFailing(how: string): (evidence: Evidence) => string {
  return ({ failures, probe_in_s, error }) =>
    `${how}: ${printFailures(failures)}${error === undefined ? "" : `, the last: ${error}`}; next probe in ${probe_in_s} s`;
}

function printFailures(failures: string | number | undefined): string {
  return Number(failures) === 1 ? "1 failure" : `${failures} failures in a row`;
}
