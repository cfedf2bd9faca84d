// The engine as metrics: a snapshot in, Prometheus' text out. Pure. docs/reference/metrics.md describes each, and a test
// compares the two. Labels are lanes, outlets, states, codes and live dispatchers: as many series as the configuration
// has of these. No destination, no campaign, no address and no secret is ever a label.

import { WAITING_STATES, STATES } from "../mail/state.ts";
import type { ReasonCode } from "../mail/reasons.ts";
import type { RelayReading } from "../mail/reading.ts";
import type { DispatcherView, EngineSnapshot, LaneView } from "./engine-snapshot.ts";
import { isHeard, type ExplainConfig } from "./explain-limit.ts";
import { findLimits } from "./explain-limits.ts";
import type { Known } from "./explain-question.ts";
import type { MetricsExtras } from "./metrics-extras.ts";
import { printMetrics, type Metric, type Sample } from "./metrics-text.ts";

/** Of the process that answers. */
export interface ProcessFacts {
  readonly version: string;
  readonly startedAtS: number;
  readonly cpuS: number;
  readonly residentBytes: number;
  readonly eventLoopLagS: number;
}

export function metricsOf(known: Known, extras: MetricsExtras, config: ExplainConfig, facts: ProcessFacts): string {
  return printMetrics(collectMetrics(known, extras, config, facts));
}

export function collectMetrics(
  known: Known,
  extras: MetricsExtras,
  config: ExplainConfig,
  facts: ProcessFacts,
): readonly Metric[] {
  const { snapshot } = known;
  const own = [...frontMetrics(known), ...processMetrics(facts)];
  if (snapshot === undefined) return own;
  const scene = { snapshot, config, around: known.around };
  return [
    ...own,
    ...queueMetrics(snapshot, extras),
    ...dispatcherMetrics(snapshot, config),
    ...outletMetrics(snapshot, config),
    ...gaugeMetrics(snapshot),
    reasonMetric(findLimits(scene)),
    ...upkeepMetrics(known, snapshot, config),
    ...returnsMetrics(snapshot, extras),
    ...databaseMetrics(snapshot, extras),
  ];
}

function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name: `postlane_${name}`, type: "gauge", help, samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name: `postlane_${name}_total`, type: "counter", help, samples };
}

const one = (value: number): readonly Sample[] => [{ value }];

// ---- the front -------------------------------------------------------------------------------------------------------

function frontMetrics({ snapshot, around }: Known): readonly Metric[] {
  const { databaseSilent, cpuWaiting, nowMs } = around;
  return [
    gauge(
      "front_database_answers",
      "1 while the database answers the front.",
      one(databaseSilent === undefined ? 1 : 0),
    ),
    gauge(
      "front_snapshot_age_seconds",
      "How old the look at the database is that these metrics are made of.",
      snapshot === undefined ? [] : one(Math.max(0, nowMs - snapshot.atMs) / 1000),
    ),
    gauge(
      "front_cpu_waiting_ratio",
      "Share of the last seconds in which a task of the front's machine waited for CPU.",
      cpuWaiting === null ? [] : one(cpuWaiting),
    ),
  ];
}

function processMetrics(facts: ProcessFacts): readonly Metric[] {
  return [
    gauge("build_info", "1, with the version that runs.", [{ labels: { version: facts.version }, value: 1 }]),
    gauge("front_start_time_seconds", "When the front started, in seconds since the epoch.", one(facts.startedAtS)),
    counter("front_cpu_seconds", "CPU time that the front has used.", one(facts.cpuS)),
    gauge("front_resident_memory_bytes", "Memory of the front.", one(facts.residentBytes)),
    gauge(
      "front_event_loop_lag_seconds",
      "How late the front's timers are, the longest of late.",
      one(facts.eventLoopLagS),
    ),
  ];
}

// ---- the queue -------------------------------------------------------------------------------------------------------

function queueMetrics({ lanes, pauses, pausedCampaigns }: EngineSnapshot, extras: MetricsExtras): readonly Metric[] {
  const byLane = (value: (lane: LaneView) => number): readonly Sample[] =>
    lanes.map((lane) => ({ labels: { lane: lane.name }, value: value(lane) }));
  return [
    gauge(
      "queue_messages",
      "Messages by state, from the books. Their sum is what was accepted.",
      lanes.flatMap((lane) =>
        STATES.map((state) => ({ labels: { lane: lane.name, state }, value: lane.states[state] })),
      ),
    ),
    gauge(
      "queue_waiting_messages",
      "Messages that are not settled.",
      byLane(({ states }) => WAITING_STATES.reduce((sum, state) => sum + states[state], 0)),
    ),
    gauge(
      "queue_sendable_messages",
      "Queued and deferred messages of no paused campaign.",
      byLane((lane) => lane.toSend),
    ),
    gauge(
      "queue_paused",
      "1 while the lane is paused.",
      byLane(({ pausedAtMs }) => (pausedAtMs === null ? 0 : 1)),
    ),
    gauge(
      "queue_guard_held",
      "1 while the guard holds the lane's mail.",
      byLane(({ isHeldByGuard }) => (isHeldByGuard ? 1 : 0)),
    ),
    gauge(
      "queue_paused_campaign_messages",
      "Messages of the lane that wait for a paused campaign.",
      byLane(({ name }) => pausedCampaigns.reduce((sum, of) => sum + (of.lane === name ? of.waiting : 0), 0)),
    ),
    gauge(
      "queue_oldest_seconds",
      "How long the message that waits longest has been due.",
      byLane(({ name }) => extras.oldestS[name] ?? Number.NaN),
    ),
    gauge(
      "queue_pauses",
      "Outlets and destinations that are paused, by a person or by a rule.",
      (["outlet", "destination"] as const).flatMap((kind) =>
        [false, true].map((isByRule) => ({
          labels: { kind, by: isByRule ? "rule" : "person" },
          value: pauses.filter((pause) => pause.kind === kind && pause.isByRule === isByRule).length,
        })),
      ),
    ),
  ];
}

// ---- dispatchers -----------------------------------------------------------------------------------------------------

interface Speaker {
  readonly lane: LaneView;
  readonly dispatcher: DispatcherView;
  readonly labels: Readonly<Record<string, string>>;
}

function speakers(snapshot: EngineSnapshot, config: ExplainConfig): readonly Speaker[] {
  return snapshot.lanes.flatMap((lane) =>
    lane.dispatchers
      .filter((dispatcher) => dispatcher.isAlive && isHeard(dispatcher, config, snapshot))
      .map((dispatcher) => ({ lane, dispatcher, labels: { lane: lane.name, dispatcher: String(dispatcher.id) } })),
  );
}

function dispatcherMetrics(snapshot: EngineSnapshot, config: ExplainConfig): readonly Metric[] {
  const all = speakers(snapshot, config);
  const each = (value: (dispatcher: DispatcherView) => number | null | undefined, unit = 1): readonly Sample[] =>
    all.map(({ dispatcher, labels }) => ({ labels, value: (value(dispatcher) ?? Number.NaN) / unit }));
  return [
    gauge(
      "dispatcher_alive",
      "Dispatchers of the lane that were heard of in the last seconds.",
      snapshot.lanes.map(({ name }) => ({
        labels: { lane: name },
        value: all.filter(({ lane }) => lane.name === name).length,
      })),
    ),
    gauge(
      "dispatcher_in_flight_messages",
      "Messages that are being handed over.",
      each(({ pulse }) => pulse.in_flight),
    ),
    gauge(
      "dispatcher_ready_messages",
      "Messages that are claimed and wait for an outlet.",
      each(({ pulse }) => pulse.ready),
    ),
    gauge(
      "dispatcher_destinations",
      "Destinations that the dispatcher has in mind.",
      each(({ pulse }) => pulse.destinations),
    ),
    gauge(
      "dispatcher_rate_per_second",
      "Messages that were handed over per second, lately.",
      each(({ pulse }) => pulse.rate_per_s),
    ),
    counter(
      "dispatcher_settled_messages",
      "Messages that were settled since the dispatcher began.",
      each(({ pulse }) => pulse.settled_total),
    ),
    gauge(
      "dispatcher_quiet_seconds",
      "Since a message was settled.",
      each(({ pulse }) => pulse.settled_ms_ago, 1000),
    ),
    gauge(
      "dispatcher_wait_median_seconds",
      "From due to handed over, the median of late.",
      each(({ pulse }) => pulse.waiting_p50_ms, 1000),
    ),
    gauge(
      "dispatcher_wait_p99_seconds",
      "From due to handed over, 99 of 100 of late.",
      each(({ pulse }) => pulse.waiting_p99_ms, 1000),
    ),
    gauge(
      "dispatcher_commit_seconds",
      "Of settling: the mean of the last second.",
      each(({ pulse }) => pulse.commit_ms, 1000),
    ),
    gauge(
      "dispatcher_commit_usual_seconds",
      "Of settling: the median of the last hour.",
      each(({ pulse }) => pulse.commit_usual_ms, 1000),
    ),
    gauge(
      "dispatcher_settle_group_messages",
      "Messages that one settling transaction carries, the mean of the last second.",
      each(({ pulse }) => pulse.settle_group),
    ),
    gauge(
      "dispatcher_throttled_destinations",
      "Destinations whose mail waits because they fail or have not proven themselves.",
      each(({ pulse }) => pulse.throttled.count),
    ),
  ];
}

// ---- outlets and reasons ---------------------------------------------------------------------------------------------

function outletMetrics(snapshot: EngineSnapshot, config: ExplainConfig): readonly Metric[] {
  const ways = speakers(snapshot, config).flatMap(({ dispatcher, labels }) =>
    dispatcher.pulse.outlets.map((outlet) => ({ outlet, labels: { ...labels, outlet: outlet.name } })),
  );
  type Way = (typeof ways)[number]["outlet"];
  const each = (value: (outlet: Way) => number | null): readonly Sample[] =>
    ways.map(({ outlet, labels }) => ({ labels, value: value(outlet) ?? Number.NaN }));
  return [
    gauge(
      "handover_window",
      "Hand-overs that may be open at once.",
      each(({ window }) => window),
    ),
    gauge(
      "handover_open",
      "Hand-overs that are open.",
      each(({ open }) => open),
    ),
    gauge(
      "handover_pace_per_second",
      "Hand-overs that may start per second; absent where nothing limits them.",
      each(({ pace_per_s }) => pace_per_s),
    ),
    gauge(
      "handover_taken_per_second",
      "Hand-overs that were started per second, lately.",
      each(({ taken_per_s }) => taken_per_s),
    ),
    counter(
      "handover_messages",
      "Messages that the outlet has taken since the dispatcher began.",
      each(({ handed_total }) => handed_total),
    ),
    gauge(
      "handover_wants_more",
      "1 while mail is ready for the outlet and the verdict keeps it back.",
      each(({ wants_more }) => (wants_more ? 1 : 0)),
    ),
  ];
}

/** As `explain` has them: one series for each code, lane and outlet, while it limits. */
function reasonMetric(limits: ReturnType<typeof findLimits>): Metric {
  const samples = new Map<string, Sample>();
  for (const { reason, lanes, outlet } of limits) {
    for (const lane of lanes.length === 0 ? [""] : lanes) {
      const labels = { lane, outlet: outlet ?? "", code: reason.code };
      samples.set(Object.values(labels).join("|"), { labels, value: 1 });
    }
  }
  return gauge(
    "governor_reason",
    "1 while this reason of the catalogue limits; lane and outlet are empty where it holds for all.",
    [...samples.values()],
  );
}

// ---- gauges ----------------------------------------------------------------------------------------------------------

function gaugeMetrics({ readings }: EngineSnapshot): readonly Metric[] {
  const each = (value: (reading: RelayReading) => number | undefined, unit = 1): readonly Sample[] =>
    readings.map(({ outlet, reading }) => ({ labels: { outlet }, value: (value(reading) ?? Number.NaN) / unit }));
  const pressures = ["io", "cpu", "memory"] as const;
  return [
    gauge(
      "gauges_reading_age_seconds",
      "Since the relay's agent wrote its last reading.",
      readings.map(({ outlet, ageMs }) => ({ labels: { outlet }, value: ageMs / 1000 })),
    ),
    gauge(
      "gauges_relay_queue_messages",
      "The relay's working queue.",
      each(({ queue }) => queue),
    ),
    gauge(
      "gauges_relay_deferred_messages",
      "Messages that the relay keeps trying: the plug.",
      each(({ deferred }) => deferred),
    ),
    gauge(
      "gauges_relay_oldest_seconds",
      "Age of the oldest message in the relay.",
      each(({ oldest_age_s }) => oldest_age_s),
    ),
    gauge(
      "gauges_fsync_seconds",
      "Latency of an fsync on the spool's disk, the last probe.",
      each(({ fsync_ms }) => fsync_ms, 1000),
    ),
    gauge(
      "gauges_fsync_usual_seconds",
      "The same, the median of the last hour.",
      each(({ fsync_usual_ms }) => fsync_usual_ms, 1000),
    ),
    gauge(
      "gauges_pressure_ratio",
      "Share of the last 10 s in which some task of the relay's machine waited.",
      pressures.flatMap((resource) =>
        readings.map(({ outlet, reading }) => ({
          labels: { outlet, resource },
          value: reading[`pressure_${resource}`] ?? Number.NaN,
        })),
      ),
    ),
    gauge(
      "gauges_load_1min",
      "Load of the relay's machine.",
      each(({ load_1min }) => load_1min),
    ),
    gauge(
      "gauges_disk_free_bytes",
      "Free space of the spool's file system.",
      each(({ disk_free_bytes }) => disk_free_bytes),
    ),
    gauge(
      "gauges_disk_size_bytes",
      "Size of the spool's file system.",
      each(({ disk_total_bytes }) => disk_total_bytes),
    ),
  ];
}

// ---- beside the road -------------------------------------------------------------------------------------------------

const DATABASE_ALARMS = ["vacuum_held_back", "slot_keeps_wal"] as const satisfies readonly ReasonCode[];

function upkeepMetrics({ around }: Known, { lanes }: EngineSnapshot, config: ExplainConfig): readonly Metric[] {
  const isRaised = (name: string): boolean => around.alarms.some(({ lane }) => lane === name);
  const configured = lanes.filter(({ name }) => Object.hasOwn(config.lanes, name));
  return [
    gauge(
      "upkeep_no_progress",
      "1 while the alarm is raised: messages wait and none is settled.",
      configured.map(({ name }) => ({ labels: { lane: name }, value: isRaised(name) ? 1 : 0 })),
    ),
    gauge(
      "upkeep_database_alarm",
      "1 while upkeep's alarm of this code is raised, about what holds back vacuum or keeps the server's log of changes.",
      DATABASE_ALARMS.map((code) => ({
        labels: { code },
        value: around.databaseAlarms.some((reason) => reason.code === code) ? 1 : 0,
      })),
    ),
  ];
}

function returnsMetrics(
  { returns, unaccounted, destinations }: EngineSnapshot,
  { judged }: MetricsExtras,
): readonly Metric[] {
  return [
    gauge("returns_unjudged", "What came back after hand-over and was not judged yet.", one(returns.unjudged)),
    gauge(
      "returns_unjudged_oldest_seconds",
      "How long the first of it has waited.",
      one((returns.oldestMs ?? 0) / 1000),
    ),
    gauge(
      "returns_judged",
      "Of the latest that are kept, by where they came from and what was made of them.",
      judged.map(({ source, judgement, returns: value }) => ({ labels: { source, judgement }, value })),
    ),
    gauge(
      "returns_unaccounted_messages",
      "Messages that went through a relay which never confirmed them.",
      unaccounted.map(({ outlet, messages: value }) => ({ labels: { outlet }, value })),
    ),
    gauge(
      "returns_failing_destinations",
      "Destinations that fail by what relays' logs and notices say.",
      one(destinations.failing),
    ),
  ];
}

function databaseMetrics(
  { transaction, commitStuckMs }: EngineSnapshot,
  { walFsyncs, deadRows }: MetricsExtras,
): readonly Metric[] {
  return [
    gauge(
      "database_longest_transaction_seconds",
      "Age of the oldest transaction that vacuum must wait for.",
      one((transaction?.openMs ?? 0) / 1000),
    ),
    gauge(
      "database_dead_rows",
      "Rows of Postlane's tables that are dead and not cleaned up, as the server's statistics have it.",
      deadRows === undefined ? [] : one(deadRows),
    ),
    gauge(
      "database_stuck_commit_seconds",
      "How long a commit has waited for the disk.",
      one((commitStuckMs ?? 0) / 1000),
    ),
    counter(
      "database_wal_fsyncs",
      "Fsyncs of the whole server's log of changes. Its rate by that of settled messages is fsyncs per message.",
      walFsyncs === undefined ? [] : one(walFsyncs),
    ),
  ];
}
