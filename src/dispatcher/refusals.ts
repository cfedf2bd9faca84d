// When refusals are not about the recipient: counts them by destination and by outlet, and stops what is refused too
// often. The stop is a row in the database, so that every dispatcher obeys it and a person can lift it; until the others
// know, this one does by itself.

import type { AttemptResult } from "../mail/attempt.ts";
import type { Outcome } from "../mail/outcome.ts";
import { tellReason, type Reason } from "../mail/reasons.ts";
import { printReply } from "../mail/reply.ts";
import {
  createRefusalWatch,
  isBounceAlready,
  isPolicyRefusal,
  refusalReason,
  type RefusalTarget,
} from "../outcome/refusal-watch.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import type { Pause } from "./verdict-store.ts";

export interface Refusals {
  /** What becomes of an answer: as it is judged; held, since its like are too many; or once more, since they are too few to tell. */
  judge(
    row: ClaimedRow,
    outlet: string,
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

export function createRefusals(
  shareMax: number,
  ports: {
    readonly pause: (target: RefusalTarget, reason: Reason) => Promise<void>;
    readonly onAlarm: (line: string) => void;
  },
): Refusals {
  const watch = createRefusalWatch();
  /** In force here, by `kind name`; those that stand in no row yet are `isOwn`. */
  let inForce = new Map<string, { readonly target: RefusalTarget; readonly reason: Reason; readonly isOwn: boolean }>();

  const stop = (target: RefusalTarget, reason: Reason): void => {
    const key = keyOf(target);
    inForce.set(key, { target, reason, isOwn: true });
    ports.onAlarm(`bulk stops: ${tellReason(reason)}`);
    void ports.pause(target, reason).then(() => {
      if (inForce.has(key)) inForce.set(key, { target, reason, isOwn: false });
    });
  };
  const isStopped = (kind: RefusalTarget["kind"], name: string): boolean => inForce.has(keyOf({ kind, name }));

  return {
    judge(row, outlet, result, outcome, nowMs) {
      if (result.kind !== "replied" || outcome.kind === "untried" || outcome.kind === "unknown") return "as_it_is";
      const { destination } = row;
      const isRefusal = isPolicyRefusal(result, outcome);
      const { tripped, isTelling } = watch.note({ outlet, destination, isRefusal, shareMax }, nowMs);
      if (!isRefusal) return "as_it_is";
      for (const { kind, name, ...count } of tripped) {
        if (isStopped(kind, name)) continue;
        stop({ kind, name }, refusalReason({ kind, name, ...count }, shareMax, printReply(result.reply)));
      }
      if (isStopped("destination", destination) || isStopped("outlet", outlet)) return "held";
      return isBounceAlready(isTelling, row.attempts + 1) ? "as_it_is" : "waits";
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
      for (const target of gone) watch.forget(target);
      const destinations = [...inForce.values()].filter(({ target }) => target.kind === "destination");
      return {
        stopped: new Map(destinations.map(({ target, reason }) => [target.name, reason])),
        resumed: gone.filter(({ kind }) => kind === "destination").map(({ name }) => name),
      };
    },
  };
}

function keyOf({ kind, name }: RefusalTarget): string {
  return `${kind} ${name}`;
}

function pausedByPerson(destination: string, since: string): Reason {
  return { code: "destination_paused", limits: "stop", limit: 0, evidence: { destination, since } };
}
