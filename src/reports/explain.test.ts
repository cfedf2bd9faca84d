// The jams that a person may meet, as snapshots that a real engine gives, and the reason that each must name first; and
// that the reason is gone when the snapshot is. `SCENARIOS` also says which codes of the catalogue are produced here; the
// law produces the others (test/rig/governed-reasons.ts), and a test names every code that neither does.

import assert from "node:assert/strict";
import { test } from "node:test";
import { REASON_CODES, REASONS, type Reason, type ReasonCode } from "../mail/reasons.ts";
import {
  bulkSaying,
  dispatcherOf,
  fixedWindow,
  laneOf,
  NOW_MS,
  outletPulse,
  pulseOf,
  relayConfig,
  snapshotOf,
  surroundings,
} from "../../test/rig/engine-snapshots.ts";
import { GOVERNED_CODES, GOVERNED_REASONS } from "../../test/rig/governed-reasons.ts";
import type { EngineSnapshot } from "./engine-snapshot.ts";
import { pace, type ExplainConfig, type Surroundings } from "./explain-limit.ts";
import { explain, type ExplainGiven, type ExplainReport, type Question } from "./explain.ts";
import type { MessageStory } from "./message-story.ts";

const config = relayConfig();
const ENGINE: Question = { kind: "engine" };

interface Scenario {
  readonly name: string;
  readonly first: ReasonCode;
  readonly snapshot?: EngineSnapshot;
  readonly around?: Partial<Surroundings>;
  readonly config?: ExplainConfig;
  readonly question?: Question;
  readonly given?: Partial<ExplainGiven>;
  /** Part of the first sentence. */
  readonly says: RegExp;
  /** Codes that come after it, in this order, maybe with others between. */
  readonly behind?: readonly ReasonCode[];
}

const drain: Reason = {
  code: "relay_drain",
  limits: "pace",
  limit: 212,
  evidence: { queue: 6120, target: 6000, drain_per_s: 204 },
};
const failing = (code: ReasonCode): Reason => ({
  code,
  limits: "stop",
  limit: 0,
  evidence: { failures: 3, probe_in_s: 4, error: "refused" },
});
const probing: Reason = { code: "probing", limits: "window", limit: 1, evidence: { failures: 3, error: "refused" } };
const deadDestination = (destination: string): object => ({
  destination,
  reason: { ...failing("destination_failing"), evidence: { destination, failures: 2, probe_in_s: 9 } },
});
const unproven = (destination: string): object => ({
  destination,
  reason: { code: "destination_unproven", limits: "window", limit: 1, evidence: { destination, allowed: 1 } },
});
const bySpool = { queue: 6120, fsync_ms: 41, fsync_usual_ms: 3, queue_source: "spool" as const };

const STORY: MessageStory = {
  id: "msg_4",
  state: "queued",
  is_captured: false,
  is_being_handed_over: false,
  recipient: "ann@example.com",
  lane: "bulk",
  campaign: null,
  submission: null,
  metadata: null,
  accepted_at: "2026-11-26T14:00:00.000Z",
  due_at: "2026-11-26T14:00:00.000Z",
  expires_at: null,
  attempts: 0,
  events: [],
};

const HELD_BACK = { name: "march", lane: "bulk", waiting: 990 };
const CANARY_FAILED = {
  code: "canary_failed",
  evidence: { rows: 100, tried: 100, deferred: 2, bounced: 3, held: 1, expired: 1, limit: 0.05 },
} as const;

const SCENARIOS: readonly Scenario[] = [
  {
    name: "the disk of the relay is slow",
    first: "disk_slow",
    snapshot: bulkSaying({}, outletPulse({ wants_more: true, pace_per_s: 212, reasons: [drain, fixedWindow] }), {
      readings: [{ outlet: "relay", ageMs: 700, reading: bySpool }],
    }),
    says: /41 ms per fsync \(median of the hour 3 ms\)/,
    behind: ["relay_drain"],
  },
  {
    name: "the disk of the relay is slow, and the governor says it behind the pace that follows from it",
    first: "disk_slow",
    snapshot: bulkSaying(
      {},
      {
        wants_more: true,
        reasons: [drain, { code: "disk_slow", limits: "pace", limit: 300, evidence: { fsync_ms: 41, usual_ms: 3 } }],
      },
    ),
    says: /41 ms per fsync/,
    behind: ["relay_drain"],
  },
  {
    name: "the relay is stopped",
    first: "relay_unreachable",
    snapshot: bulkSaying({}, { window: 0, wants_more: true, reasons: [failing("relay_unreachable"), fixedWindow] }),
    says: /cannot be reached: 3 failures in a row, the last: refused; next probe in 4 s/,
  },
  {
    name: "the relay is stopped, in the moment of a probe",
    first: "relay_unreachable",
    snapshot: bulkSaying({}, { window: 1, wants_more: true, reasons: [probing, failing("relay_unreachable")] }),
    says: /cannot be reached/,
    behind: ["probing"],
  },
  {
    name: "max_rate is reached",
    first: "max_rate",
    snapshot: bulkSaying(
      {},
      {
        wants_more: true,
        pace_per_s: 100,
        reasons: [{ code: "max_rate", limits: "pace", limit: 100, evidence: { max_per_s: 100 } }, drain],
      },
    ),
    around: { cpuWaiting: 0.9 },
    says: /max_rate of 100\/s/,
  },
  {
    name: "one destination is dead, and nothing else waits",
    first: "destination_failing",
    snapshot: bulkSaying(
      { throttled: { count: 1, some: [deadDestination("dead.example")] } },
      {},
      { waitingFor: { "dead.example": { waiting: 40, isMore: false } } },
    ),
    says: /dead\.example fails: 2 failures in a row; next probe in 9 s/,
  },
  {
    name: "one destination is dead by the relay's log alone",
    first: "destination_failing",
    snapshot: snapshotOf({
      destinations: {
        failing: 1,
        worst: [{ name: "dead.example", failures: 1, probe_in_ms: 9000, error: "421 4.7.0 later" }],
      },
    }),
    says: /dead\.example fails: 1 failure, the last: 421 4\.7\.0 later; next probe in 9 s/,
  },
  {
    name: "a destination has not proven itself",
    first: "destination_unproven",
    snapshot: bulkSaying(
      { throttled: { count: 1, some: [unproven("new.example")] } },
      {},
      { waitingFor: { "new.example": { waiting: 2000, isMore: false } } },
    ),
    says: /new\.example has not answered lately: 1 at a time/,
  },
  {
    name: "all of a provider is dead, and a few thousand wait for it behind a window that is full",
    first: "destinations_failing",
    snapshot: bulkSaying(
      { throttled: { count: 60, some: [deadDestination("a.example"), deadDestination("b.example")] } },
      { wants_more: true },
      { waitingFor: { "a.example": { waiting: 500, isMore: false }, "b.example": { waiting: 900, isMore: false } } },
    ),
    says: /60 destinations take no mail \(most of it for b\.example\); 1400 messages wait for them/,
    behind: ["window_fixed"],
  },
  {
    name: "a provider refuses by policy",
    first: "policy_refusals",
    snapshot: snapshotOf({
      pauses: [
        {
          kind: "destination",
          name: "big.example",
          lane: "bulk",
          pausedAtMs: NOW_MS - 60_000,
          isByRule: true,
          reason: {
            code: "policy_refusals",
            limits: "stop",
            limit: 0,
            evidence: { scope: "destination", name: "big.example", refusals: 30, answers: 200, max_percent: 5 },
          },
        },
      ],
    }),
    says: /destination big\.example refused 30 of 200 by policy/,
  },
  {
    name: "the lane is paused",
    first: "lane_paused",
    snapshot: snapshotOf({
      lanes: [laneOf("transactional"), laneOf("bulk", { pausedAtMs: NOW_MS - 4000 }, { queued: 9 })],
    }),
    says: /lane bulk is paused since 2026-11-26T14:02:06Z/,
  },
  ...(
    [
      ["database_copied", { remembered: "7300/16384", seen: "7301/16384" }, /so it is a copy/],
      ["database_rewound", { heartbeats: 60, behind_s: 61 }, /lacks its last 60 heartbeats \(61 s\)/],
      ["heartbeat_gap", { gap_s: 7200 }, /at the last heartbeat, 7200 s before/],
    ] as const
  ).map(([code, evidence, says]) => ({
    name: `the guard holds what is bulk: ${code}`,
    first: code,
    snapshot: snapshotOf({
      guard: { sinceMs: NOW_MS - 4000, reason: { code, evidence } },
      lanes: [laneOf("transactional"), laneOf("bulk", { isHeldByGuard: true }, { queued: 9 })],
    }),
    says,
  })),
  {
    name: "a lane takes no more mail",
    first: "lane_full",
    snapshot: snapshotOf({ lanes: [laneOf("bulk", { fullBecause: "850 messages wait" }), laneOf("transactional")] }),
    says: /lane bulk takes no more mail: 850 messages wait/,
  },
  {
    name: "a campaign is paused",
    first: "campaign_paused",
    snapshot: snapshotOf({ pausedCampaigns: [{ name: "march", lane: "bulk", waiting: 120, because: null }] }),
    says: /campaign "march" is paused; 120 messages wait/,
  },
  {
    name: "a campaign is paused by its canary",
    first: "canary_failed",
    snapshot: snapshotOf({
      pausedCampaigns: [{ name: "march", lane: "bulk", waiting: 990, because: CANARY_FAILED }],
    }),
    says: /campaign "march" is paused by its canary: 7 of the first 100 failed, 5 % may; 990 messages wait/,
  },
  {
    name: "a campaign waits for its canary",
    first: "campaign_canary",
    snapshot: snapshotOf({ heldBackCampaigns: [{ ...HELD_BACK, pacePerS: 5, canaryRows: 10 }] }),
    says: /campaign "march" waits for its canary of 10; 990 recipients have no message yet/,
  },
  {
    name: "a campaign goes at its pace",
    first: "campaign_pace",
    snapshot: snapshotOf({ heldBackCampaigns: [{ ...HELD_BACK, pacePerS: 13.888_888, canaryRows: null }] }),
    says: /campaign "march" goes at its pace of 13\.9\/s; 990 recipients have no message yet/,
  },
  {
    name: "an outlet is paused",
    first: "outlet_paused",
    snapshot: snapshotOf({
      pauses: [{ kind: "outlet", name: "relay", lane: null, pausedAtMs: NOW_MS - 2000, isByRule: false, reason: null }],
    }),
    says: /outlet relay is paused since/,
  },
  {
    name: "a destination is paused",
    first: "destination_paused",
    snapshot: snapshotOf({
      pauses: [
        { kind: "destination", name: "a.example", lane: null, pausedAtMs: NOW_MS, isByRule: false, reason: null },
      ],
    }),
    says: /destination a\.example is paused since/,
  },
  {
    name: "the dispatcher was killed, and its lease still holds",
    first: "no_dispatcher",
    snapshot: snapshotOf({
      lanes: [
        laneOf("transactional"),
        laneOf("bulk", { dispatchers: [dispatcherOf(pulseOf(), { leaseLeftMs: 11_000 })] }, { queued: 9 }),
      ],
    }),
    says: /no dispatcher has been seen in lane bulk since 2026-11-26T14:02:05Z/,
  },
  {
    name: "the dispatcher is gone with its lease",
    first: "no_dispatcher",
    snapshot: snapshotOf({ lanes: [laneOf("transactional"), laneOf("bulk", { dispatchers: [] }, { queued: 9 })] }),
    around: { dispatcherSeenAtMs: { bulk: NOW_MS - 60_000 } },
    says: /no dispatcher has been seen in lane bulk since 2026-11-26T14:01:10Z/,
  },
  {
    name: "the agent is silent",
    first: "readings_stale",
    snapshot: snapshotOf({ readings: [{ outlet: "relay", ageMs: 8000, reading: bySpool }] }),
    says: /no reading of outlet relay for 8 s/,
  },
  {
    name: "the agent has never spoken",
    first: "readings_stale",
    snapshot: snapshotOf({ readings: [] }),
    says: /no reading of outlet relay for 600 s/,
  },
  {
    name: "the CPU is full, and the window does not turn over",
    first: "cpu_full",
    snapshot: bulkSaying({}, { wants_more: true }),
    around: { cpuWaiting: 0.83 },
    says: /wait for CPU 83 % of the time/,
    behind: ["window_fixed"],
  },
  {
    name: "the machine of the relay is pressed",
    first: "machine_pressed",
    snapshot: bulkSaying(
      {},
      { wants_more: true, reasons: [drain] },
      {
        readings: [{ outlet: "relay", ageMs: 10, reading: { pressure_cpu: 0.9 } }],
      },
    ),
    says: /its machine waits for CPU 90 % of the time/,
  },
  {
    name: "the relay's disk is nearly full",
    first: "disk_full",
    snapshot: snapshotOf({
      readings: [{ outlet: "relay", ageMs: 10, reading: { disk_free_bytes: 2e9, disk_total_bytes: 1e11 } }],
    }),
    says: /2 % free/,
  },
  {
    name: "a transaction is open for long",
    first: "long_transaction",
    snapshot: snapshotOf({ transaction: { pid: 4711, openMs: 95_000, application: "psql" } }),
    says: /open for 95 s \(server process 4711, psql\)/,
  },
  {
    name: "vacuum is held back, by the transaction that is open for long",
    first: "vacuum_held_back",
    snapshot: snapshotOf({ transaction: { pid: 4711, openMs: 95_000, application: "psql" } }),
    around: {
      databaseAlarms: [
        pace("vacuum_held_back", {
          dead_rows: 300_000,
          table: "queue",
          holder: "a transaction (server process 4711, psql)",
          held_s: 31,
          pid: 4711,
        }),
      ],
    },
    says: /^300000 dead rows, most in table queue, .*by a transaction \(server process 4711, psql\)$/,
  },
  {
    name: "a replication slot that nobody uses keeps the log of changes",
    first: "slot_keeps_wal",
    around: { databaseAlarms: [pace("slot_keeps_wal", { slot: "old", wal_bytes: 7.25e9, is_active: 0 })] },
    says: /replication slot old, which nobody uses, keeps 7\.3 GB/,
  },
  {
    name: "the relay refuses the credentials",
    first: "credentials_refused",
    snapshot: bulkSaying({}, { window: 0, reasons: [failing("credentials_refused")] }),
    says: /refuses our credentials/,
  },
  {
    name: "TLS with the relay fails",
    first: "tls_refused",
    snapshot: bulkSaying({}, { window: 0, reasons: [failing("tls_refused")] }),
    says: /fails at TLS/,
  },
  {
    name: "the outlet fails otherwise",
    first: "outlet_failing",
    snapshot: bulkSaying({}, { window: 0, reasons: [failing("outlet_failing")] }),
    says: /^fails: 3 failures/,
  },
  {
    name: "only the probe is known of",
    first: "probing",
    snapshot: bulkSaying({}, { window: 1, reasons: [probing] }),
    says: /one probe after 3 failures/,
  },
  {
    name: "the window is full",
    first: "window_fixed",
    snapshot: bulkSaying({}, { wants_more: true }),
    says: /configured for 60 open at once/,
  },
  {
    name: "a dispatcher of before has too little room for what is ready",
    first: "window_fixed",
    snapshot: bulkSaying({ ready: 40 }, { wants_more: undefined, open: 60 }),
    says: /configured for 60/,
  },
  {
    name: "the relay drains slowly for no other reason",
    first: "relay_drain",
    snapshot: bulkSaying({}, { wants_more: true, reasons: [drain, fixedWindow] }),
    says: /relay drains 204\/s; working queue 6120 of 6000/,
  },
  {
    name: "the database does not answer",
    first: "database_silent",
    around: { databaseSilent: { sinceMs: NOW_MS - 30_000, error: "it took more than 2 s" } },
    says: /the database does not answer since 2026-11-26T14:01:40Z: it took more than 2 s/,
  },
  {
    name: "a commit takes long",
    first: "database_slow",
    snapshot: bulkSaying({ commit_ms: 140, commit_usual_ms: 3 }, { wants_more: true }),
    says: /a commit takes 140 ms \(median of the hour 3 ms\)/,
    behind: ["window_fixed"],
  },
  {
    name: "the database's disk stands still, so that nobody can renew",
    first: "database_slow",
    snapshot: snapshotOf({
      commitStuckMs: 9000,
      lanes: [laneOf("bulk", { dispatchers: [dispatcherOf(pulseOf(), { leaseLeftMs: 5500 })] }, { queued: 5 })],
    }),
    says: /a commit takes 9000 ms/,
  },
  {
    name: "the alarm is raised and nothing says why",
    first: "no_progress",
    around: { alarms: [{ lane: "bulk", sinceMs: NOW_MS - 5000 }] },
    says: /9000 messages wait in lane bulk and none was settled for 65 s/,
  },
  {
    name: "nothing limits, and mail flows",
    first: "nothing_limits",
    says: /9000 wait, 400\/s go out, done in 23 s/,
  },
  {
    name: "nothing limits, and nothing waits",
    first: "nothing_limits",
    snapshot: snapshotOf({ lanes: [laneOf("transactional"), laneOf("bulk")] }),
    around: { cpuWaiting: 0.99 },
    says: /nothing limits: nothing waits/,
  },
  {
    name: "mail is captured",
    first: "nothing_limits",
    config: relayConfig({ POSTLANE_LANES__TRANSACTIONAL__OUTLETS: "[default]" }),
    says: /nothing limits/,
    behind: ["captured"],
  },
  {
    name: "nothing comes home",
    first: "nothing_limits",
    config: relayConfig({ POSTLANE_RETURNS__DOMAIN: "" }),
    says: /nothing limits/,
    behind: ["nothing_comes_home"],
  },
  {
    name: "a relay was lost with what it had",
    first: "nothing_limits",
    snapshot: snapshotOf({ unaccounted: [{ outlet: "relay", messages: 12 }] }),
    says: /nothing limits/,
    behind: ["unaccounted"],
  },
  ...messageScenarios(),
];

function messageScenarios(): readonly Scenario[] {
  const question: Question = { kind: "message", name: "msg_4" };
  const about = (story: Partial<MessageStory>): Partial<ExplainGiven> => ({
    message: { story: { ...STORY, ...story }, destination: "example.com" },
  });
  const events = [
    {
      at: "2026-11-26T14:00:00.000Z",
      attempt: 1,
      kind: "deferred",
      outlet: "relay",
      host: "mx",
      reply: "450 4.2.1 full",
    },
  ];
  return [
    {
      name: "a message was tried and waits for its next try",
      first: "not_due",
      question,
      given: about({ state: "deferred", due_at: "2026-11-26T14:12:00.000Z", attempts: 2, events }),
      says: /next tried at 2026-11-26T14:12:00.000Z after 2 tries, the last answer: 450 4\.2\.1 full/,
    },
    {
      name: "a message is held",
      first: "message_held",
      question,
      given: about({ state: "held", due_at: null, events: [{ ...events[0]!, kind: "held", reply: "asks legal" }] }),
      says: /held: asks legal/,
    },
    {
      name: "a message is unknown",
      first: "message_unknown",
      question,
      given: about({ state: "unknown", due_at: null }),
      says: /nobody can tell yet whether it arrived/,
    },
    {
      name: "a message is being handed over",
      first: "in_flight",
      question,
      given: about({ is_being_handed_over: true }),
      says: /a dispatcher is handing it over/,
    },
    { name: "a message was sent", first: "done", question, given: about({ state: "sent" }), says: /^sent$/ },
    {
      name: "a message waits its turn",
      first: "behind_others",
      question,
      given: about({}),
      says: /due; 9000 messages wait in its lane, which sends 200\/s/,
    },
    {
      name: "a message's campaign is paused",
      first: "campaign_paused",
      question,
      snapshot: snapshotOf({
        pausedCampaigns: [
          { name: "april", lane: "bulk", waiting: 500, because: null },
          { name: "march", lane: "bulk", waiting: 120, because: null },
        ],
      }),
      given: about({ campaign: { id: "cmp_3", name: "march", status: "paused" } }),
      says: /"march" is paused/,
      behind: ["behind_others"],
    },
    {
      name: "a message's destination fails",
      first: "destination_failing",
      question,
      snapshot: bulkSaying({
        throttled: { count: 2, some: [deadDestination("example.com"), deadDestination("other.example")] },
      }),
      given: about({}),
      says: /example\.com fails/,
      behind: ["behind_others"],
    },
  ];
}

for (const scenario of SCENARIOS) {
  test(`${scenario.name}: ${scenario.first}`, () => {
    const report = reportOf(scenario);
    const codes = report.limits.map(({ code }) => code);
    assert.equal(codes[0], scenario.first, codes.join());
    assert.match(report.limits[0]!.sentence, scenario.says);
    assertInOrder(codes, [scenario.first, ...(scenario.behind ?? [])]);
    for (const { code, evidence } of report.limits) {
      for (const name of REASONS[code].evidence) assert.ok(name in evidence, `${code} has no ${name}`);
    }
  });
}

function reportOf({ snapshot, around, config: own, question, given }: Partial<Scenario>): ExplainReport {
  return explain(
    { snapshot: snapshot ?? snapshotOf(), around: surroundings(around), question: question ?? ENGINE, ...given },
    own ?? config,
  );
}

function assertInOrder(codes: readonly ReasonCode[], expected: readonly ReasonCode[]): void {
  const places = expected.map((code) => codes.indexOf(code));
  assert.ok(!places.includes(-1), `${expected.join()} in ${codes.join()}`);
  assert.deepEqual(
    places,
    places.toSorted((one, other) => one - other),
    codes.join(),
  );
}

test("every code of the catalogue is produced here, or by the governor's law", () => {
  const produced = new Set<ReasonCode>([
    ...SCENARIOS.flatMap(({ first, behind = [] }) => [first, ...behind]),
    ...GOVERNED_CODES,
  ]);
  assert.deepEqual(
    REASON_CODES.filter((code) => !produced.has(code)),
    [],
  );
});

test("what the law gives is passed on, its first reason first", () => {
  for (const code of GOVERNED_CODES) {
    const reasons = GOVERNED_REASONS[code]();
    const report = reportOf({ snapshot: bulkSaying({}, { window: 1, wants_more: true, taken_per_s: 5, reasons }) });
    const first = code === "probing" ? "relay_unreachable" : code;
    if (code !== "destination_failing") assert.equal(report.limits[0]!.code, first);
    assert.doesNotMatch(report.limits[0]!.sentence, /undefined|NaN/);
  }
});

test("what binds says what goes out, what could go out without it, and how many wait", () => {
  const rate = { code: "max_rate", limits: "pace", limit: 212, evidence: { max_per_s: 212 } };
  const wide = { ...drain, limit: 900 };
  const snapshot = bulkSaying({}, { wants_more: true, taken_per_s: 211.4, reasons: [rate, wide] });
  assert.deepEqual(reportOf({ snapshot }).limits[0]!.costs, { waiting: 9000, allowed_per_s: 211.4, wanted_per_s: 900 });
});

test("a destination that fails and that nothing waits for limits nothing", () => {
  const worst = [{ name: "old.example", failures: 9, probe_in_ms: 90_000, error: null }];
  const waitingFor = { "old.example": { waiting: 0, isMore: false } };
  const report = reportOf({ snapshot: snapshotOf({ destinations: { failing: 1, worst }, waitingFor }) });
  assert.deepEqual(
    report.limits.map(({ code }) => code),
    ["nothing_limits"],
  );
});

test("a remedy is the command as it can be typed", () => {
  const pausedCampaigns = [{ name: "it's march", lane: "bulk", waiting: 1, because: null }];
  const lanes = [laneOf("transactional"), laneOf("bulk", { pausedAtMs: NOW_MS }, { queued: 1 })];
  const [lane, campaign] = reportOf({ snapshot: snapshotOf({ lanes, pausedCampaigns }) }).limits;
  assert.equal(lane!.remedy, "`postlane lane resume bulk`");
  assert.equal(campaign!.remedy, "`postlane campaign resume 'it'\\''s march'`");
});

test("a lane that is asked for hears nothing of the other one", () => {
  const snapshot = snapshotOf({
    lanes: [laneOf("transactional", { pausedAtMs: NOW_MS }), laneOf("bulk", {}, { queued: 100 })],
  });
  const report = reportOf({ snapshot, question: { kind: "lane", name: "bulk" } });
  assert.deepEqual([report.limits[0]!.code, report.waiting, report.per_s], ["nothing_limits", 100, 200]);
});

test("an outlet that is asked for hears nothing of the other one", () => {
  const other = relayConfig({
    POSTLANE_OUTLETS__OTHER__TYPE: "smtp",
    POSTLANE_OUTLETS__OTHER__HOSTS: "127.0.0.2:25",
    POSTLANE_LANES__TRANSACTIONAL__OUTLETS: "[other]",
  });
  const snapshot = bulkSaying({}, { window: 0, reasons: [failing("relay_unreachable")] });
  const codeOf = (name: string): string =>
    reportOf({ snapshot, config: other, question: { kind: "outlet", name } }).limits[0]!.code;
  assert.deepEqual([codeOf("other"), codeOf("relay")], ["nothing_limits", "relay_unreachable"]);
});

test("a destination that is asked for is told of by what relays' logs say, with its own backlog", () => {
  const row = { successes: 0, failures: 4, probe_in_ms: 30_000, answered_at_ms: null, error: "timed out" };
  const given = { destination: { row, waiting: 17, isMore: false } };
  const report = reportOf({ question: { kind: "destination", name: "far.example" }, given });
  assert.equal(
    report.limits[0]!.sentence,
    "far.example fails: 4 failures in a row, the last: timed out; next probe in 30 s",
  );
  assert.deepEqual([report.limits[0]!.costs.waiting, report.waiting], [17, 17]);
});

test("a destination that is asked for is told to be unproven where bulk has to prove it, until it has answered", () => {
  const own = relayConfig({
    POSTLANE_OUTLETS__SLOW__TYPE: "smtp",
    POSTLANE_OUTLETS__SLOW__HOSTS: "127.0.0.2:25",
    POSTLANE_OUTLETS__RELAY__RETRY_OUTLET: "slow",
  });
  const first = (successes: number | undefined, waiting: number): unknown => {
    const row = { failures: 0, probe_in_ms: null, answered_at_ms: null, error: null };
    const known = successes === undefined ? {} : { row: { ...row, successes } };
    const given = { destination: { ...known, waiting, isMore: false } };
    const question: Question = { kind: "destination", name: "new.example" };
    const { code, evidence } = reportOf({ config: own, question, given }).limits[0]!;
    return code === "destination_unproven" ? evidence["allowed"] : code;
  };
  assert.deepEqual([first(undefined, 9), first(0, 9), first(2, 9)], [1, 1, 5]);
  assert.deepEqual([first(3, 9), first(undefined, 0)], ["nothing_limits", "nothing_limits"]);
});

test("what is kept back for a moment is no limit", () => {
  const rate = { code: "max_rate", limits: "pace", limit: 100, evidence: { max_per_s: 100 } };
  const codeWith = (waiting: number): string => {
    const saying = bulkSaying({}, { wants_more: true, taken_per_s: 20, reasons: [rate, drain] });
    const lanes = saying.lanes.map((lane) => (lane.name === "bulk" ? { ...lane, toSend: waiting } : lane));
    return reportOf({ snapshot: { ...saying, lanes } }).limits[0]!.code;
  };
  assert.deepEqual([codeWith(12), codeWith(101)], ["nothing_limits", "max_rate"]);
});

test("what does not answer stands apart, with its time", () => {
  const { answers } = reportOf({
    snapshot: snapshotOf({ lanes: [laneOf("transactional"), laneOf("bulk", { dispatchers: [] })] }),
    around: { dispatcherSeenAtMs: { bulk: NOW_MS - 480_000 } },
  });
  assert.deepEqual(answers, {
    database: null,
    commits: null,
    dispatchers: [{ lane: "bulk", since: "2026-11-26T13:54:10Z" }],
    snapshot_age_s: 1,
  });
});

test("without any snapshot it says what does not answer, and nothing else", () => {
  const around = surroundings({ databaseSilent: { sinceMs: NOW_MS } });
  const report = explain({ snapshot: undefined, around, question: ENGINE }, config);
  assert.deepEqual(
    [report.limits.map(({ code }) => code), report.waiting, report.answers.snapshot_age_s],
    [["database_silent"], null, null],
  );
});

test("it says how the queue of a relay was counted", () => {
  assert.deepEqual(reportOf({}).queue_sources, [{ outlet: "relay", source: "spool", problems: [] }]);
});
