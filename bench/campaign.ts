// `campaign`: the proof of campaigns. A list of a million rows, sent by the commands that people use, with pauses, edits, a
// suppression, two crashes and a cancel in the middle, and at the end by `send-rest`. Counted is who got how many copies of
// which text, by a sink that keeps a ledger on disk; the sheets are read five times a second.

import type { BenchOptions, BenchReport } from "./bench-result.ts";
import { runCampaign, type CampaignRunReport } from "./campaign-run.ts";
import { interruption } from "./interruption.ts";

const FULL = { rows: 1_000_000, suppressed: 500, msMax: 45 * 60_000 };
const QUICK = { rows: 50_000, suppressed: 300, shareDuringCommand: 0.02, msMax: 10 * 60_000 };

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const report = await runCampaign({ ...(quick ? QUICK : FULL), say: progress, interrupted: interruption() });
  return { figures: figuresOf(report), bars: BARS, notes: notesOf(report) };
}

const BARS: BenchReport["bars"] = [
  { key: "lost", op: "<=", value: 0 },
  { key: "duplicates", op: "<=", value: 0 },
  { key: "violations", op: "<=", value: 0 },
  { key: "paused_within_ms_max", op: "<=", value: 1000 },
  { key: "suppressed_got", op: "<=", value: 0 },
  { key: "versions_wrong", op: "<=", value: 0 },
  { key: "sent_wrong", op: "<=", value: 0 },
  { key: "unknown_left", op: "<=", value: 0 },
];

function figuresOf(report: CampaignRunReport): BenchReport["figures"] {
  const { list, listed, verdict, pauses } = report;
  const undisturbed = pauses.filter(({ isDisturbed }) => !isDisturbed);
  return {
    rows: list.rows,
    doubled: list.doubled,
    rejected: list.rejected,
    accepted: listed,
    received: verdict.received,
    rest: report.rest,
    lost: verdict.lost,
    duplicates: verdict.duplicates,
    unknown: report.unknown,
    unknown_arrived: report.unknownArrived,
    unknown_left: verdict.unknown,
    samples: report.samples,
    violations: report.violations,
    paused_within_ms_max: undisturbed.length === 0 ? null : Math.round(Math.max(...undisturbed.map(({ ms }) => ms))),
    suppressed: report.suppressed,
    suppressed_got: verdict.suppressedGot,
    versions_wrong: verdict.versionsWrong,
    sent_wrong: verdict.sentWrong + verdict.strangers,
    messages_per_s: Math.round(report.messagesPerS),
    rss_mb_front_max: report.rssMbFrontMax,
  };
}

function notesOf({ verdict, told }: CampaignRunReport): readonly string[] {
  return [
    "unknown: what the two crashes left; then settled by the sink's ledger, with `unknown accept` and `unknown resend`. " +
      "messages_per_s: from the first copy to the last, with all pauses and crashes.",
    ...verdict.complaints,
    ...told,
  ];
}
