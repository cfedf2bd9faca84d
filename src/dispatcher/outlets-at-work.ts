// The outlets of one dispatcher: what each may do now (window and pace, with the reasons), what its answers taught, and
// what it says of itself in the pulse. The governor decides; here its inputs are gathered and its verdict is kept to.

import type { RelaySettings } from "../governor/relay-law.ts";
import type { PaceUser } from "../governor/share-pace.ts";
import { createBucket, type Bucket } from "../governor/token-bucket.ts";
import { divideWindow, governOutlet, healthyOutlet, recordFailure, recordSuccess } from "../governor/verdict.ts";
import type { FailureKind, GovernorSettings, OutletReadings, Verdict } from "../governor/verdict.ts";
import type { Outlet, OutletDriver } from "../handover/outlet.ts";
import type { AttemptResult } from "../mail/attempt.ts";
import type { LeaseId } from "../mail/ids.ts";
import type { LanePriority } from "../mail/lane.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { OutletPulse } from "../mail/pulse.ts";
import { tellReason, type Reason } from "../mail/reasons.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Route } from "./destinations.ts";
import { createOutletWatch, type OutletWatch } from "./outlet-watch.ts";
import { handedAt, latestOf, paceUsers, stateOf, takeStep, type LearntRelay } from "./relay-steps.ts";
import type { Surroundings, VerdictStep } from "./verdict-store.ts";

export interface OutletLimits {
  readonly name: string;
  /** `retry`: it takes only retries and what has not lately answered. */
  readonly route: Route;
  readonly openMax: number;
  readonly openPerDestinationMax: number;
  /** This lane's part of the window, where other lanes use the outlet too. */
  readonly share: number;
  /** Each attempt has a return path of its own. */
  readonly isVerp: boolean;
  /** Its relay tells what became of the mail that it took. */
  readonly isToldOf: boolean;
  /** Hand-overs per second by all lanes and dispatchers together. */
  readonly maxRatePerS?: number;
  /** Its relay is measured. */
  readonly relay?: RelaySettings;
}

export interface OutletAtWork {
  readonly limits: OutletLimits;
  readonly outlet: Outlet;
  readings: OutletReadings;
  verdict: Verdict;
  window: number;
  open: number;
  readonly bucket: Bucket;
  readonly watched: OutletWatch;
  /** The last step of the relay law that this dispatcher took or heard of. */
  learnt: LearntRelay | undefined;
  /** Fires when the pace allows the next hand-over. */
  paceTimer: Timer | undefined;
}

/** What a verdict rests on beside the outlet's own answers. */
export interface GovernContext {
  readonly mayWork: boolean;
  readonly isGivingWay: boolean;
  /** The live dispatchers of the lane, this one among them. */
  readonly leaseIds: readonly LeaseId[];
  /** Whoever was here before reads of a newcomer with its next orders; until then all is still theirs. */
  readonly isNewcomer: boolean;
  readonly databaseMs: number;
  readonly surroundings: Surroundings | undefined;
  /** Messages for this way are ready. */
  readonly hasReady: (route: Route) => boolean;
}

export interface OutletsAtWork {
  open(limits: OutletLimits, driverOf: (at: OutletAtWork) => OutletDriver): void;
  govern(context: GovernContext): void;
  /** Takes the steps that new readings allow; those that the others have to know. */
  hear(surroundings: Surroundings): readonly VerdictStep[];
  /** What the lane may have open by this way, what it may start per second, and what it lately started. */
  windowSum(route: Route): number;
  paceSum(route: Route): number;
  takenPerS(route: Route): number;
  /** There is a message for it: may it have it now? If not, it is woken when the time has come. */
  mayTake(at: OutletAtWork): boolean;
  took(at: OutletAtWork): void;
  finished(at: OutletAtWork, result: AttemptResult, outcome: Outcome, tookMs: number): void;
  wake(): void;
  drain(): Promise<void>;
  close(): void;
  pulse(): readonly OutletPulse[];
}

/** How long a probe's slot is one dispatcher's, where several serve the lane. */
const PROBE_TURN_MS = 1000;

export function createOutletsAtWork(
  settings: { readonly leaseId: LeaseId; readonly priority: LanePriority },
  ports: {
    readonly clock: Clock;
    readonly log: Log;
    readonly openOutlet: (name: string, driver: OutletDriver) => Outlet;
  },
): OutletsAtWork {
  const { clock, log } = ports;
  const all: OutletAtWork[] = [];

  const governOne = (at: OutletAtWork, context: GovernContext): void => {
    const nowMs = clock.monotonicMs();
    at.watched.turn(nowMs, context.databaseMs);
    const verdict = stopVerdict(at, context) ?? governOutlet(at.readings, inputsOf(at, context), nowMs);
    tellVerdict(at, verdict);
    at.verdict = verdict;
    at.window = context.mayWork ? myPart(verdict, settings.leaseId, context) : 0;
    at.bucket.refill(verdict.pace, nowMs);
    at.outlet.setLimit(at.window);
    // An outlet whose window is full does not ask for more: while no answer comes, nobody else would say so.
    if (at.window > 0 && at.open >= at.window && context.hasReady(at.limits.route)) at.watched.keptBack();
  };
  const inputsOf = (at: OutletAtWork, context: GovernContext): GovernorSettings => {
    const { name, openMax, share, maxRatePerS, relay } = at.limits;
    const { databaseMs } = context;
    return {
      name,
      openMax,
      share,
      gaveWay: context.isGivingWay,
      priority: settings.priority,
      sharers: { users: usersOf(at, context.surroundings), me: String(settings.leaseId) },
      ...(at.watched.replies === undefined ? {} : { replies: at.watched.replies }),
      ...(maxRatePerS === undefined ? {} : { maxRatePerS }),
      ...(relay === undefined ? {} : { relay: { settings: relay, state: at.learnt?.relay, databaseMs } }),
    };
  };
  /** As all see them, but ourselves as we are now: in the first second nobody has heard of us. */
  const usersOf = (at: OutletAtWork, surroundings: Surroundings | undefined): readonly PaceUser[] => {
    const me = {
      key: String(settings.leaseId),
      priority: settings.priority,
      takenPerS: at.watched.takenPerS,
      wantsMore: at.watched.wasKeptBack,
    };
    return [...paceUsers(surroundings, at.limits.name).filter(({ key }) => key !== me.key), me];
  };
  const tellVerdict = (at: OutletAtWork, verdict: Verdict): void => {
    const [reason] = verdict.reasons;
    if (reason?.code === at.verdict.reasons[0]?.code) return;
    log.info("verdict.changed", { outlet: at.limits.name, window: verdict.window, reason: reason?.code });
    // A relay's reply may name a recipient.
    if (reason !== undefined) {
      log.debug("verdict.explained", { outlet: at.limits.name, evidence: tellReason(reason) });
    }
  };

  const sumOf = (route: Route, figure: (at: OutletAtWork) => number): number =>
    all.reduce((sum, at) => sum + (at.limits.route === route ? figure(at) : 0), 0);
  const wakeByPace = (at: OutletAtWork): void => {
    const inMs = at.bucket.nextAtMs() - clock.monotonicMs();
    if (at.paceTimer !== undefined || !Number.isFinite(inMs)) return;
    at.paceTimer = clock.after(Math.max(1, Math.ceil(inMs)), () => {
      at.paceTimer = undefined;
      at.outlet.wake();
    });
  };

  return {
    open(limits, driverOf) {
      const { name, openMax, share } = limits;
      const nowMs = clock.monotonicMs();
      const at = {
        limits,
        readings: healthyOutlet,
        verdict: governOutlet(healthyOutlet, { name, openMax, share }, nowMs),
        window: 0,
        open: 0,
        bucket: createBucket(),
        watched: createOutletWatch(nowMs),
        learnt: undefined,
        paceTimer: undefined,
      } as OutletAtWork & { outlet: Outlet };
      at.outlet = ports.openOutlet(name, driverOf(at));
      all.push(at);
    },
    govern(context) {
      for (const at of all) governOne(at, context);
    },
    hear(surroundings) {
      return all.flatMap((at): readonly VerdictStep[] => {
        const { name, relay } = at.limits;
        const shared = surroundings.outlets.find(({ outlet }) => outlet === name);
        if (relay === undefined || shared === undefined) return [];
        const known = latestOf(at.learnt, shared.verdict);
        const handed = (atMs: number) => handedAt(at, surroundings, String(settings.leaseId), atMs);
        at.learnt = takeStep(known, shared.reading, handed, relay);
        const isNew = at.learnt !== known && at.learnt !== undefined;
        return isNew ? [{ outlet: name, readingNumber: at.learnt!.number, state: stateOf(at.learnt!) }] : [];
      });
    },
    windowSum: (route) => sumOf(route, (at) => at.window),
    paceSum: (route) => sumOf(route, (at) => (at.window > 0 ? at.verdict.pace : 0)),
    takenPerS: (route) => sumOf(route, (at) => at.watched.takenPerS),
    mayTake(at) {
      if (at.open < at.window && at.bucket.take(clock.monotonicMs())) return true;
      at.watched.keptBack();
      if (at.open < at.window) wakeByPace(at);
      return false;
    },
    took(at) {
      at.open++;
      at.watched.took();
    },
    finished(at, result, outcome, tookMs) {
      at.open--;
      at.watched.finished(result, outcome, tookMs);
      if (outcome.kind === "untried") return;
      if ("scope" in outcome && outcome.scope === "outlet") {
        at.readings = recordFailure(at.readings, clock.monotonicMs(), outcome.reason, failureKindOf(result));
      } else if (at.readings !== healthyOutlet) at.readings = recordSuccess(at.readings);
    },
    wake() {
      for (const { outlet } of all) outlet.wake();
    },
    async drain() {
      await Promise.all(all.map(({ outlet }) => outlet.drain()));
    },
    close() {
      for (const { outlet, paceTimer } of all) {
        paceTimer?.cancel();
        void outlet.close();
      }
    },
    pulse() {
      return all.map((at) => ({
        name: at.limits.name,
        window: at.window,
        open: at.open,
        pace_per_s: Number.isFinite(at.verdict.pace) ? Math.round(at.verdict.pace * 10) / 10 : null,
        taken_per_s: Math.round(at.watched.takenPerS * 10) / 10,
        wants_more: at.watched.wasKeptBack,
        handed_total: at.watched.handedTotal,
        reasons: at.verdict.reasons,
      }));
    },
  };
}

/** What a person, or a rule that waits for one, has stopped. */
function stopVerdict(at: OutletAtWork, { surroundings }: GovernContext): Verdict | undefined {
  const { name } = at.limits;
  const pause = surroundings?.pauses.find((one) => one.kind === "outlet" && one.name === name);
  if (pause === undefined) return undefined;
  const byPerson: Reason = {
    code: "outlet_paused",
    limits: "stop",
    limit: 0,
    evidence: { outlet: name, since: pause.since },
  };
  return { window: 0, pace: 0, reasons: [pause.reason ?? byPerson] };
}

// Each knows only its own failures, so the probe's single slot goes round: else all but the first would wait for ever.
function myPart({ window, reasons }: Verdict, me: LeaseId, context: GovernContext): number {
  const { leaseIds, isNewcomer, databaseMs } = context;
  if (leaseIds.length > 1 && isNewcomer) return 0;
  const dispatchers = Math.max(1, leaseIds.length);
  const turn = reasons[0]?.code === "probing" ? Math.floor(databaseMs / PROBE_TURN_MS) : 0;
  const ordinal = (Math.max(0, leaseIds.indexOf(me)) + turn) % dispatchers;
  return divideWindow(window, dispatchers, ordinal);
}

/** 530, 534, 535 and 538 speak of authentication (RFC 4954 §6). */
const CREDENTIAL_CODES: ReadonlySet<number> = new Set([530, 534, 535, 538]);

function failureKindOf(result: AttemptResult): FailureKind {
  switch (result.kind) {
    case "replied":
      if (result.phase === "auth" || CREDENTIAL_CODES.has(result.reply.code)) return "credentials";
      return result.phase === "starttls" ? "tls" : "other";
    case "failed":
      if (result.code === "tls" || result.phase === "starttls") return "tls";
      if (result.phase === "auth") return "credentials";
      return result.phase === "connect" ? "unreachable" : "other";
    case "refused_here":
    case "not_started":
      return "other";
  }
}
