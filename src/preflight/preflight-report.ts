// What a preflight says, in the shape that programs get: who was looked at, what was found, how large the messages are, how
// long sending will take and whom it shares its outlets with.

import type { FindingCode, Severity } from "./finding-catalogue.ts";

export interface PreflightReport {
  /** `cmp_7`. */
  readonly campaign: string;
  readonly name: string;
  readonly status: string;
  /** Of the template. */
  readonly version: number;
  readonly lane: string;
  /** `all`: of the list; `not_made`: those of whom no message is made yet. */
  readonly scope: "all" | "not_made";
  /** In that scope. */
  readonly recipients: number;
  /** Of them, how many were looked at; fewer than all: a sample, spread evenly, or it was ended since rendering is too slow. */
  readonly looked_at: number;
  readonly is_sample: boolean;
  /** Messages that could be rendered. */
  readonly rendered: number;
  readonly suppressed: number;
  /** Rows of the list that became no recipients. */
  readonly rejected: number;
  readonly doubled: number;
  /** Bytes of a message on the wire, without its DKIM signature; null: none was rendered. `p99` to within 1 %. */
  readonly size: { readonly mean: number; readonly p99: number; readonly max: number } | null;
  readonly duration: ExpectedDuration;
  /** Lanes with an outlet of this campaign's. */
  readonly shared_with: readonly SharingLane[];
  readonly is_dns_asked: boolean;
  /** The gravest first. */
  readonly findings: readonly PreflightFinding[];
  /** One of them is of severity `stop`. */
  readonly must_stop: boolean;
  readonly rendered_per_s: number;
  readonly took_ms: number;
}

export interface PreflightFinding {
  readonly code: FindingCode;
  readonly severity: Severity;
  readonly means: string;
  readonly remedy: string;
  /** Rows, or places in the template. */
  readonly count: number;
  /** The first few. */
  readonly examples: readonly FindingExample[];
}

export interface FindingExample {
  /** Of the list's file; null: it is not about a row of one. */
  readonly line: number | null;
  readonly address: string | null;
  readonly detail: string;
}

export interface ExpectedDuration {
  /** Null: nothing is known of the rate yet. */
  readonly seconds: number | null;
  readonly messages: number;
  readonly rate_per_s: number | null;
  /** What the rate is known from, and what bounds it. */
  readonly basis: "finished_campaign" | "governor" | "max_rate" | "pace" | "not_measured";
  /** The campaign that it was measured with. */
  readonly measured_by: string | null;
}

export interface SharingLane {
  readonly lane: string;
  readonly priority: "transactional" | "bulk";
  readonly outlets: readonly string[];
}
