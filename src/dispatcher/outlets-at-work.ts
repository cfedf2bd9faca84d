// The outlets of one dispatcher: what each may do now (window and pace, with the reasons), what its answers taught, and
// what it says of itself in the pulse. The governor decides; here its inputs are gathered and its verdict is kept to.

import { divideWindow, governOutlet, healthyOutlet, recordFailure, recordSuccess } from "../governor/verdict.ts";
import type { FailureKind, OutletReadings, Verdict } from "../governor/verdict.ts";
import type { Outlet, OutletDriver } from "../handover/outlet.ts";
import type { AttemptResult } from "../mail/attempt.ts";
import type { LeaseId } from "../mail/ids.ts";
import type { LanePriority } from "../mail/lane.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { OutletPulse } from "../mail/pulse.ts";
import { tellReason, type Reason } from "../mail/reasons.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Route } from "./destinations.ts";
import type { Surroundings } from "./verdict-store.ts";

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
}

export interface OutletAtWork {
  readonly limits: OutletLimits;
  readonly outlet: Outlet;
  readings: OutletReadings;
  verdict: Verdict;
  window: number;
  open: number;
  /** Hand-overs begun since the last look at the rate, and the rate then. */
  taken: number;
  takenPerS: number;
  handedTotal: number;
  /** It asked for mail that was there, and the verdict kept it back. */
  wasKeptBack: boolean;
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
}

export interface OutletsAtWork {
  readonly all: readonly OutletAtWork[];
  open(limits: OutletLimits, driverOf: (at: OutletAtWork) => OutletDriver): void;
  govern(context: GovernContext): void;
  /** What the lane may have open by this way. */
  windowSum(route: Route): number;
  mayTake(at: OutletAtWork): boolean;
  took(at: OutletAtWork): void;
  finished(at: OutletAtWork, result: AttemptResult, outcome: Outcome): void;
  measureRates(passedMs: number): void;
  takenPerS(route: Route): number;
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
    const { openMax, share, name } = at.limits;
    const verdict =
      stopVerdict(at, context) ??
      governOutlet(at.readings, { name, openMax, share, gaveWay: context.isGivingWay }, clock.monotonicMs());
    tellVerdict(at, verdict);
    at.verdict = verdict;
    at.window = context.mayWork ? myPart(verdict, settings.leaseId, context) : 0;
    at.outlet.setLimit(at.window);
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

  return {
    all,
    open(limits, driverOf) {
      const { name, openMax, share } = limits;
      const at = {
        limits,
        readings: healthyOutlet,
        verdict: governOutlet(healthyOutlet, { name, openMax, share, gaveWay: false }, 0),
        window: 0,
        open: 0,
        taken: 0,
        takenPerS: 0,
        handedTotal: 0,
        wasKeptBack: false,
      } as OutletAtWork & { outlet: Outlet };
      at.outlet = ports.openOutlet(name, driverOf(at));
      all.push(at);
    },
    govern(context) {
      for (const at of all) governOne(at, context);
    },
    windowSum: (route) => all.reduce((sum, at) => sum + (at.limits.route === route ? at.window : 0), 0),
    mayTake(at) {
      return at.open < at.window;
    },
    took(at) {
      at.open++;
      at.taken++;
    },
    finished(at, result, outcome) {
      at.open--;
      if (outcome.kind === "untried") return;
      if (outcome.kind === "sent") at.handedTotal++;
      if ("scope" in outcome && outcome.scope === "outlet") {
        at.readings = recordFailure(at.readings, clock.monotonicMs(), outcome.reason, failureKindOf(result));
      } else if (at.readings !== healthyOutlet) at.readings = recordSuccess(at.readings);
    },
    measureRates(passedMs) {
      for (const at of all) {
        at.takenPerS = (at.taken * 1000) / Math.max(1, passedMs);
        at.taken = 0;
      }
    },
    takenPerS: (route) => all.reduce((sum, at) => sum + (at.limits.route === route ? at.takenPerS : 0), 0),
    wake() {
      for (const { outlet } of all) outlet.wake();
    },
    async drain() {
      await Promise.all(all.map(({ outlet }) => outlet.drain()));
    },
    close() {
      for (const { outlet } of all) void outlet.close();
    },
    pulse() {
      return all.map((at) => {
        const { wasKeptBack } = at;
        at.wasKeptBack = false;
        return {
          name: at.limits.name,
          window: at.window,
          open: at.open,
          pace_per_s: Number.isFinite(at.verdict.pace) ? at.verdict.pace : null,
          taken_per_s: Math.round(at.takenPerS * 10) / 10,
          wants_more: wasKeptBack,
          handed_total: at.handedTotal,
          reasons: at.verdict.reasons,
        };
      });
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
