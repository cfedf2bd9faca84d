// What a fault is: a harm that is done to a real Postlane under load, and what must still be true afterwards. Each lies in
// a file of `cases/` whose name is the sentence, and exports `fault`. It is run a few times on every change, and as often
// as its full count says by hand; what it found becomes a row of docs/reference/guarantees.md.

import type { Scope } from "../test/rig/scope.ts";
import type { PromiseName } from "./promises.ts";
import type { Tool } from "./rig/tools.ts";

export interface Fault {
  /** Of the contract, what it tries. */
  readonly promises: readonly PromiseName[];
  /** What is done, for the table: "SIGKILL of a dispatcher, the front, the agent or the supervisor, at random". */
  readonly what: string;
  /** What one run is, in the plural: "kills", "power cuts", "cells". */
  readonly unit: string;
  readonly small: number;
  readonly full: number;
  /** How soon mail must move again; judged in full runs only, since a busy machine answers for itself. */
  readonly recoveryMsMax?: number;
  /** Programs and rights that the machine must have. */
  readonly needs?: readonly Tool[];
  readonly run: (context: FaultContext) => Promise<FaultOutcome>;
}

export interface FaultContext {
  readonly runs: number;
  readonly isFull: boolean;
  /** Repeats what the dice say. What the machine does in between, it cannot repeat. */
  readonly seed: number;
  /** Ends what the fault began. */
  readonly scope: Scope;
  readonly say: (line: string) => void;
  /** Where ledgers lie, if not in the folder for temporary files: on another disk, say. */
  readonly ledgersIn?: string | undefined;
}

export interface FaultOutcome {
  readonly runs: number;
  readonly accepted: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly unknown: number;
  readonly recoveriesMs: readonly number[];
  /** Sentences about what was not as promised; none: it holds. */
  readonly complaints: readonly string[];
  /** Figures and findings for the table, as sentences. */
  readonly notes: readonly string[];
}
