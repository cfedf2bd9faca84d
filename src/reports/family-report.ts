// The whole report of a campaign: its balance sheet, which version of its template how many got, why some were suppressed, the
// campaigns that send its rest, and all of them together, in which each person of the list stands once. Reads only. The shape is
// what `--json` prints.

import type { Pool } from "pg";
import {
  listCampaignVersions,
  listRests,
  type CampaignRow,
  type CampaignVersionRow,
  type RestStanding,
} from "../campaigns/campaign-store.ts";
import { STATES, type State } from "../mail/state.ts";
import { reportCampaigns, type CampaignReport } from "./campaign-report.ts";
import { stretchesOf, walkOf } from "./export-people.ts";
import { countPeopleOfList, type CountedPeople } from "./people-store.ts";
import { totalsOf, type SheetTotals } from "./status-report.ts";

export interface FullReport extends CampaignReport {
  /** Null: there is one version of its template, and whoever got something got that. */
  readonly versions: readonly VersionReport[] | null;
  /** Null: nobody was, or there are too many recipients to look through; the export tells of each. */
  readonly suppressed_because: readonly { readonly reason: string; readonly n: number }[] | null;
  /** The campaigns that send its rest, the oldest first. */
  readonly rests: readonly CampaignReport[];
  /** Null: it has no rest. */
  readonly family: FamilyReport | null;
}

export interface VersionReport {
  readonly version: number;
  /** Since when it is what those get who were not handed over yet. */
  readonly in_force_at: string;
  /** Whose latest attempt had it. */
  readonly messages: number;
  /** When the first and the last of them came to where they are. */
  readonly first_at: string | null;
  readonly last_at: string | null;
}

/** Everybody of the campaign's list once: where they stand in the latest campaign of the family. */
export interface FamilyReport {
  /** recipients = not_accepted + books.accepted. */
  readonly recipients: number;
  readonly not_accepted: number;
  readonly books: SheetTotals;
}

/** Recipients that are looked through for nothing but the reasons of suppressions: a few seconds. */
export const REASONS_RECIPIENTS_MAX = 100_000;

export async function reportInFull(pool: Pool, campaign: CampaignRow): Promise<FullReport> {
  const rests = await listRests(pool, campaign.id);
  // One statement, so one snapshot: the family adds up as each of them does.
  const [report, ...restReports] = await reportCampaigns(pool, [campaign, ...rests]);
  const versions = await listCampaignVersions(pool, campaign.id);
  const counted = await countPeople(pool, campaign, report!, versions.length > 1);
  return {
    ...report!,
    versions: versions.length > 1 ? versions.map((version) => reportVersion(version, counted ?? [])) : null,
    suppressed_because: counted === undefined ? null : reasonsOf(counted),
    rests: restReports,
    family: rests.length === 0 ? null : familyOf(report!, rests, restReports),
  };
}

// ---- by version and reason -------------------------------------------------------------------------------------------

/** Undefined: they were not looked through. */
async function countPeople(
  pool: Pool,
  campaign: CampaignRow,
  { books }: CampaignReport,
  hasVersions: boolean,
): Promise<readonly CountedPeople[] | undefined> {
  const isForReasons = books.states.suppressed > 0 && books.accepted <= REASONS_RECIPIENTS_MAX;
  if (!hasVersions && !isForReasons) return undefined;
  const counted: CountedPeople[] = [];
  for await (const stretch of stretchesOf(pool, walkOf(campaign))) {
    counted.push(...(await countPeopleOfList(pool, stretch)));
  }
  return counted;
}

function reportVersion({ version, created_at }: CampaignVersionRow, counted: readonly CountedPeople[]): VersionReport {
  const own = counted.filter((row) => row.version === version);
  const times = own.flatMap(({ first_at, last_at }) => [first_at, last_at]).filter((at) => at !== null);
  const sorted = times.map((at) => at.toISOString()).toSorted();
  return {
    version,
    in_force_at: created_at.toISOString(),
    messages: sumOf(own),
    first_at: sorted[0] ?? null,
    last_at: sorted.at(-1) ?? null,
  };
}

function reasonsOf(counted: readonly CountedPeople[]): FullReport["suppressed_because"] {
  const sums = new Map<string, number>();
  for (const { reason, n } of counted) if (reason !== null) sums.set(reason, (sums.get(reason) ?? 0) + n);
  return [...sums].map(([reason, n]) => ({ reason, n })).toSorted((a, b) => b.n - a.n);
}

function sumOf(rows: readonly { readonly n: number }[]): number {
  return rows.reduce((sum, { n }) => sum + n, 0);
}

// ---- the family ------------------------------------------------------------------------------------------------------

/** Whoever is in a rest is taken out of where they stood when it was made. */
export function familyOf(
  root: CampaignReport,
  rests: readonly Pick<CampaignRow, "rest_stood">[],
  restReports: readonly CampaignReport[],
): FamilyReport {
  const members = [root, ...restReports];
  const counts = new Map<Standing, number>(
    STATES.map((state) => [state, sumOf(members.map(({ books }) => ({ n: books.states[state] })))]),
  );
  // Of a rest that has not started.
  counts.set("not_accepted", sumOf(members.map(({ not_accepted }) => ({ n: not_accepted }))));
  for (const { rest_stood } of rests) {
    for (const [standing, n] of Object.entries(rest_stood ?? {})) takeOut(counts, standing as RestStanding, n);
  }
  const notAccepted = counts.get("not_accepted")!;
  const books = totalsOf(STATES.map((state) => ({ state, n: counts.get(state)! })));
  return { recipients: notAccepted + books.accepted, not_accepted: notAccepted, books };
}

type Standing = State | "not_accepted";

/** What came back since may have moved them on: then they are taken out there. */
const MOVED_ON: Readonly<Partial<Record<Standing, readonly Standing[]>>> = {
  unknown: [
    "unknown",
    "sent",
    "delivered",
    "bounced",
    "deferred",
    "queued",
    "expired",
    "suppressed",
    "held",
    "canceled",
  ],
  sent: ["sent", "delivered", "bounced", "deferred", "unknown", "queued", "expired", "suppressed", "held", "canceled"],
  delivered: ["delivered", "bounced"],
};

function takeOut(counts: Map<Standing, number>, standing: RestStanding, n: number): void {
  let left = n;
  for (const place of MOVED_ON[standing] ?? [standing]) {
    const taken = Math.min(left, Math.max(0, counts.get(place)!));
    counts.set(place, counts.get(place)! - taken);
    left -= taken;
  }
  // Cannot be; if it is, the sheet says that it does not add up.
  counts.set(standing, counts.get(standing)! - left);
}
