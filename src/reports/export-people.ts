// The people behind a number of a balance sheet, as CSV (RFC 4180): page by page, so that memory stays flat however many they
// are, and as fast as whoever reads takes them. Nobody comes twice; while messages move, one that has moved on since the sheet
// was read comes under what it is by then.

import type { Pool } from "pg";
import { storyBeginsAt } from "../campaigns/story-begins.ts";
import { printMessageId, type CampaignId, type LaneId, type ListId } from "../mail/ids.ts";
import { STATES, type State } from "../mail/state.ts";
import { csvLine } from "../platform/csv-cell.ts";
import {
  endOfListPage,
  endOfMessagePage,
  readLeftOut,
  readPeopleOfLane,
  readPeopleOfList,
  unmadeCampaigns,
  type LeftOutRow,
  type PeopleOfList,
  type PersonRow,
} from "./people-store.ts";

export type PeopleWanted =
  | { readonly kind: "left_out"; readonly which: "rejected" | "double" }
  | Exclude<PeopleOfList, { readonly kind: "unmade" }>;

export interface CampaignToExport {
  readonly id: CampaignId;
  readonly list_id: ListId;
  readonly created_at: Date;
  readonly started_at: Date | null;
}

export type PeopleQuestion =
  | { readonly kind: "campaign"; readonly campaign: CampaignToExport; readonly wanted: PeopleWanted }
  /** `day`: on which they were accepted (UTC, `2027-01-31`); undefined: any. */
  | { readonly kind: "lane"; readonly laneId: LaneId; readonly day: string | undefined; readonly state: State };

/** Rows of one statement: some tenths of a second. */
const PAGE_ROWS = 5_000;

export const PEOPLE_WANTED = `rejected, double, accepted, not_accepted, ${STATES.join(", ")} or version:N`;

/** Undefined: it is none of `PEOPLE_WANTED`. */
export function parsePeopleWanted(text: string): PeopleWanted | undefined {
  if (text === "rejected" || text === "double") return { kind: "left_out", which: text };
  if (text === "accepted" || text === "not_accepted") return { kind: text };
  const version = /^version:([1-9]\d{0,4})$/.exec(text)?.[1];
  if (version !== undefined) return { kind: "version", version: Number(version) };
  const state = STATES.find((one) => one === text);
  return state === undefined ? undefined : { kind: "state", state };
}

/** Writes a header and a line for each; answers how many they are. `write` is awaited. */
export async function exportPeople(
  pool: Pool,
  question: PeopleQuestion,
  write: (text: string) => Promise<void>,
  onProgress: (count: number) => void = () => {},
): Promise<number> {
  await write(isLeftOut(question) ? LEFT_OUT_HEADER : PEOPLE_HEADER);
  let count = 0;
  for await (const lines of pagesOf(pool, question)) {
    // Also where there are none, so that whoever has left is noticed.
    await write(lines.join(""));
    count += lines.length;
    onProgress(count);
  }
  return count;
}

const PEOPLE_HEADER = csvLine(["line", "address", "state", "since", "reply", "attempts", "message", "version"]);
const LEFT_OUT_HEADER = csvLine(["line", "raw", "reason", "file"]);

function isLeftOut(question: PeopleQuestion): boolean {
  return question.kind === "campaign" && question.wanted.kind === "left_out";
}

type Pages = AsyncGenerator<readonly string[]>;

function pagesOf(pool: Pool, question: PeopleQuestion): Pages {
  if (question.kind === "lane") return pagesOfLane(pool, question);
  const { campaign, wanted } = question;
  return wanted.kind === "left_out"
    ? pagesOfLeftOut(pool, campaign.list_id, wanted.which)
    : pagesOfCampaign(pool, walkOf(campaign), wanted);
}

// ---- a campaign's ----------------------------------------------------------------------------------------------------

export interface ListWalk {
  readonly campaignId: CampaignId;
  readonly listId: ListId;
  readonly since: Date;
  readonly afterN: number;
  readonly lastN: number;
}

export function walkOf(campaign: CampaignToExport): ListWalk {
  const { id, list_id } = campaign;
  return { campaignId: id, listId: list_id, since: storyBeginsAt(campaign), afterN: 0, lastN: Infinity };
}

/** Stretches of the list, one after another. */
export async function* stretchesOf(pool: Pool, { afterN, lastN, ...list }: ListWalk) {
  for (let from = afterN; from < lastN;) {
    const uptoN = await endOfListPage(pool, list.listId, from, PAGE_ROWS);
    if (uptoN === undefined) return;
    yield { ...list, afterN: from, uptoN };
    from = uptoN;
  }
}

async function* pagesOfCampaign(pool: Pool, walk: ListWalk, wanted: PeopleOfList): Pages {
  for await (const stretch of stretchesOf(pool, walk)) {
    yield (await readPeopleOfList(pool, stretch, wanted)).map(personLine);
  }
}

async function* pagesOfLeftOut(pool: Pool, listId: ListId, kind: "rejected" | "double"): Pages {
  let after: Pick<LeftOutRow, "import_id" | "line"> = { import_id: 0, line: 0 };
  for (;;) {
    const rows = await readLeftOut(pool, listId, kind, after, PAGE_ROWS);
    if (rows.length === 0) return;
    yield rows.map(({ line, raw, reason, source }) => csvLine([String(line), raw, reason, source]));
    after = rows.at(-1)!;
  }
}

// ---- a lane's --------------------------------------------------------------------------------------------------------

async function* pagesOfLane(
  pool: Pool,
  { laneId, day, state }: Extract<PeopleQuestion, { readonly kind: "lane" }>,
): Pages {
  for (let afterId = 0; ;) {
    const uptoId = await endOfMessagePage(pool, afterId, PAGE_ROWS);
    if (uptoId === undefined) break;
    yield (await readPeopleOfLane(pool, { laneId, day, afterId, uptoId }, state)).map(personLine);
    afterId = uptoId;
  }
  // Whose message is made meanwhile has come into neither part, or comes in the next export.
  for (const { id, list_id, started_at, after_n, upto_n } of await unmadeCampaigns(pool, laneId, day)) {
    const walk = { campaignId: id, listId: list_id, since: started_at, afterN: after_n, lastN: upto_n };
    yield* pagesOfCampaign(pool, walk, { kind: "unmade", state, day });
  }
}

// ---- lines -----------------------------------------------------------------------------------------------------------

function personLine(row: PersonRow): string {
  return csvLine([
    row.line === null ? "" : String(row.line),
    row.address,
    row.state ?? "",
    row.since?.toISOString() ?? "",
    row.reply ?? "",
    row.message_id === null ? "" : String(row.attempts),
    row.message_id === null ? "" : printMessageId(row.message_id),
    row.version === null ? "" : String(row.version),
  ]);
}
