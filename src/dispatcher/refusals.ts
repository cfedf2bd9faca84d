// When refusals are not about the recipient: counts them by destination and by outlet, and stops what is refused too
// often. The stop is a row in the database, so that every dispatcher obeys it and a person can lift it; until the others
// know, this one does by itself.

import type { AttemptResult } from "../mail/attempt.ts";
import type { Outcome } from "../mail/outcome.ts";
import { tellReason, type Reason } from "../mail/reasons.ts";
import { printReply } from "../mail/reply.ts";
import { createRefusalWatch, isPolicyRefusal, ANSWERS_MIN, type RefusalCount } from "../outcome/refusal-watch.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import type { PauseTarget } from "./lane-queue.ts";
import type { Pause } from "./verdict-store.ts";

export interface Refusals {
  /** What becomes of an answer: as it is judged; held, since its like are too many; or once more, since they are too few to tell. */
  judge(
    row: ClaimedRow,
    outletName: string,
    result: AttemptResult,
    outcome: Outcome,
    nowMs: number,
  ): "as_it_is" | "held" | "waits";
  /** What is stopped now: destinations with their reasons, and those that were and are not any more. */
  heard(pauses: readonly Pause[]): {
    readonly stopped: ReadonlyMap<string, Reason>;
    readonly resumed: readonly string[];
  };
}

/** As long as the watch looks back. */
const COUNTED_MS = 600_000;
const COUNTED_MAX = 10_000;

/** A message that was refused so often is bounced, even if there were never enough answers to tell. */
const TRIES_MAX = 3;

export function createRefusals(
  maxShare: number,
  ports: {
    readonly pause: (target: PauseTarget, reason: Reason) => Promise<void>;
    readonly onAlarm: (line: string) => void;
  },
): Refusals {
  const byDestination = createRefusalWatch(maxShare);
  const byOutlet = createRefusalWatch(maxShare);
  const countedAtMs = new Map<string, number>();
  /** In force here, by `kind name`; those that stand in no row yet are `isOwn`. */
  let inForce = new Map<string, { readonly target: PauseTarget; readonly reason: Reason; readonly isOwn: boolean }>();

  const stop = (target: PauseTarget, count: RefusalCount, reply: string): void => {
    const reason = reasonOf(target, count, maxShare, reply);
    const key = keyOf(target);
    inForce.set(key, { target, reason, isOwn: true });
    ports.onAlarm(`bulk stops: ${tellReason(reason)}`);
    void ports.pause(target, reason).then(() => {
      if (inForce.has(key)) inForce.set(key, { target, reason, isOwn: false });
    });
  };
  /** One destination counts once against the outlet: else a large one that refuses would stop all the others. */
  const isNewAgainst = (outletName: string, destination: string, nowMs: number): boolean => {
    const key = `${outletName} ${destination}`;
    if (nowMs - (countedAtMs.get(key) ?? -Infinity) < COUNTED_MS) return false;
    if (countedAtMs.size >= COUNTED_MAX) countedAtMs.clear();
    countedAtMs.set(key, nowMs);
    return true;
  };
  const isStopped = (kind: PauseTarget["kind"], name: string): boolean => inForce.has(keyOf({ kind, name }));

  return {
    judge(row, outletName, result, outcome, nowMs) {
      if (result.kind !== "replied" || outcome.kind === "untried" || outcome.kind === "unknown") return "as_it_is";
      const { destination } = row;
      const isRefusal = isPolicyRefusal(result, outcome);
      const here = byDestination.note(destination, isRefusal, nowMs);
      const there = byOutlet.note(outletName, isRefusal && isNewAgainst(outletName, destination, nowMs), nowMs);
      if (!isRefusal) return "as_it_is";
      const reply = printReply(result.reply);
      if (there.isTripped && !isStopped("outlet", outletName)) stop({ kind: "outlet", name: outletName }, there, reply);
      if (here.isTripped && !isStopped("destination", destination)) {
        stop({ kind: "destination", name: destination }, here, reply);
      }
      if (isStopped("destination", destination) || isStopped("outlet", outletName)) return "held";
      return here.answers < ANSWERS_MIN && row.attempts + 1 < TRIES_MAX ? "waits" : "as_it_is";
    },
    heard(pauses) {
      const before = inForce;
      inForce = new Map([...before].filter(([, { isOwn }]) => isOwn));
      for (const { kind, name, since, reason } of pauses) {
        inForce.set(keyOf({ kind, name }), {
          target: { kind, name },
          reason: reason ?? pausedByPerson(name, since),
          isOwn: false,
        });
      }
      const gone = [...before.values()].filter(({ target }) => !inForce.has(keyOf(target))).map(({ target }) => target);
      for (const { kind, name } of gone) (kind === "outlet" ? byOutlet : byDestination).forget(name);
      const destinations = [...inForce.values()].filter(({ target }) => target.kind === "destination");
      return {
        stopped: new Map(destinations.map(({ target, reason }) => [target.name, reason])),
        resumed: gone.filter(({ kind }) => kind === "destination").map(({ name }) => name),
      };
    },
  };
}

function keyOf({ kind, name }: PauseTarget): string {
  return `${kind} ${name}`;
}

function pausedByPerson(destination: string, since: string): Reason {
  return { code: "destination_paused", limits: "stop", limit: 0, evidence: { destination, since } };
}

function reasonOf(
  { kind, name }: PauseTarget,
  { answers, refusals }: RefusalCount,
  share: number,
  reply: string,
): Reason {
  const max_percent = Math.round(share * 1000) / 10;
  const evidence = { scope: kind, name, refusals, answers, max_percent, reply };
  return { code: "policy_refusals", limits: "stop", limit: 0, evidence };
}
