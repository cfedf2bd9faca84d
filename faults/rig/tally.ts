// Adds up what the runs of a fault found, and makes one outcome of it.

import type { FaultOutcome } from "../fault.ts";
import type { JudgedWorld } from "./world.ts";

export interface Tally {
  /** One more run is over. */
  ran(): void;
  /** Accepted, lost, duplicates and unknown count; what is complained about is, too. */
  judged(world: JudgedWorld): void;
  /** `isDisturbed`: the machine itself was paused meanwhile, and the figure counts for nothing. */
  recovered(ms: number, isDisturbed?: boolean): void;
  complain(sentence: string): void;
  note(sentence: string): void;
  /** Complains when it is false. */
  expect(isTrue: boolean, sentence: string): void;
  outcome(): FaultOutcome;
}

const COMPLAINTS_MAX = 20;

export function createTally(): Tally {
  let [runs, accepted, lost, duplicates, unknown] = [0, 0, 0, 0, 0];
  const recoveriesMs: number[] = [];
  const complaints: string[] = [];
  const notes: string[] = [];
  const complain = (sentence: string): void => {
    if (complaints.length < COMPLAINTS_MAX) complaints.push(sentence);
  };
  return {
    ran: () => void runs++,
    judged({ verdict, stories, excused }) {
      accepted += verdict.accepted + excused.lost;
      lost += verdict.lost + excused.lost;
      duplicates += verdict.duplicates + excused.duplicates;
      unknown += verdict.unknown;
      for (const sentence of [...verdict.complaints, ...stories]) complain(sentence);
      if (verdict.waiting > 0) complain(`${verdict.waiting} messages still waited when nothing moved any more`);
    },
    recovered(ms, isDisturbed = false) {
      if (!isDisturbed) recoveriesMs.push(ms);
    },
    complain,
    note: (sentence) => void notes.push(sentence),
    expect(isTrue, sentence) {
      if (!isTrue) complain(sentence);
    },
    outcome: () => ({ runs, accepted, lost, duplicates, unknown, recoveriesMs, complaints, notes }),
  };
}
