// `campaign send-rest`: a new campaign to those of a campaign's list who ended canceled or expired, or were added since. Who
// stands otherwise anywhere in its family (the campaign and all its rests) gets nothing, unless that state is named; who may
// still get something from one of them never does. So nobody gets two, however many rests are made, and at the same time.
//
// All of it is one transaction. It locks the family, and takes the list's turn, so that no import is under way; it does not
// lock the campaign itself until the end: a running one can be paused at any moment.

import type { Pool, PoolClient } from "pg";
import type { CampaignId, ListId } from "../mail/ids.ts";
import type { State } from "../mail/state.ts";
import { inTransaction } from "../postgres/transaction.ts";
import {
  createCampaign,
  findCampaign,
  type CampaignRow,
  type CampaignStatus,
  type RestStanding,
} from "./campaign-store.ts";
import { addUp, beginImport, createList, finishImport, lastRecipient, readList, takeShortTurn } from "./list-store.ts";
import { copyRest, endOfSlice, lockFamily, noteRest, type StoodRow } from "./rest-store.ts";
import { startWithin } from "./start-campaign.ts";
import { storyBeginsAt } from "./story-begins.ts";

/** States that nobody is sent a second message for, unless they are named. */
export const ALSO = ["bounced", "unknown", "suppressed", "sent", "delivered"] as const satisfies readonly State[];
export type Also = (typeof ALSO)[number];

export interface RestWish {
  /** By default the campaign's with `-rest` behind it, and a number from the second one on. */
  readonly name?: string | undefined;
  readonly also?: readonly Also[] | undefined;
  /** It is not started. */
  readonly isDraft?: boolean | undefined;
  /** Recipients judged so far, of how many that may be. */
  readonly onProgress?: ((judged: number, of: number) => void) | undefined;
}

/** How recipients stand in the family: in the latest campaign that has them. `forgotten`: their history is no longer kept. */
export type Standings = Readonly<Partial<Record<StoodRow["standing"], number>>>;

export type RestAnswer =
  | {
      readonly kind: "made";
      readonly campaignId: CampaignId;
      readonly name: string;
      readonly status: CampaignStatus;
      readonly recipients: number;
      /** How they stood, and how the others do, who get nothing. */
      readonly stood: Standings;
      readonly left: Standings;
    }
  | { readonly kind: "nobody"; readonly left: Standings }
  /** `status`: in which there is no rest; `importing`: into its list, or a rest of its list is being made; `name`: taken. */
  | { readonly kind: "refused"; readonly why: "status" | "importing" | "name"; readonly root: CampaignRow };

/** Recipients of one statement: some tenths of a second. */
const SLICE_ROWS = 20_000;
const RESTABLE: readonly CampaignStatus[] = ["running", "paused", "canceled", "finished"];
const ALWAYS = ["canceled", "expired", "not_accepted"] as const satisfies readonly RestStanding[];

/** `campaignId`: the campaign, or one of its rests; the template in force is that one's. */
export async function createRest(pool: Pool, campaignId: CampaignId, wish: RestWish = {}): Promise<RestAnswer> {
  const nobody: { left?: Standings } = {};
  try {
    return await inTransaction(pool, async (client) => {
      const family = await lockedFamily(client, campaignId);
      if (!RESTABLE.includes(family.root.status)) return refused("status", family.root);
      if (!(await takeShortTurn(client, family.root.list_id))) return refused("importing", family.root);
      const name = await freeName(client, family.root, wish.name);
      if (name === undefined) return refused("name", family.root);
      const list = await copyEligible(client, family.root, wish);
      if (list.recipients === 0) {
        nobody.left = list.left;
        throw NOBODY;
      }
      const id = await openRest(client, family, list, name);
      const status = wish.isDraft === true ? "draft" : await startRest(client, id);
      const { recipients, stood, left } = list;
      return { kind: "made", campaignId: id, name, status, recipients, stood, left };
    });
  } catch (error) {
    if (error !== NOBODY || nobody.left === undefined) throw error;
    return { kind: "nobody", left: nobody.left };
  }
}

/** Takes back what was begun: a list without its campaign would be left behind for ever. */
const NOBODY = new Error("nobody is left");

function refused(why: "status" | "importing" | "name", root: CampaignRow): RestAnswer {
  return { kind: "refused", why, root };
}

interface Family {
  readonly root: CampaignRow;
  /** Which was asked for. */
  readonly campaign: CampaignRow;
}

async function lockedFamily(client: PoolClient, id: CampaignId): Promise<Family> {
  const { rest_of } = await campaignOf(client, id);
  const rootId = rest_of ?? id;
  await lockFamily(client, rootId);
  return { root: await campaignOf(client, rootId), campaign: await campaignOf(client, id) };
}

async function campaignOf(client: PoolClient, id: CampaignId): Promise<CampaignRow> {
  const campaign = await findCampaign(client, "", id);
  if (campaign === undefined) throw new Error(`campaign ${id} is not in the database`);
  return campaign;
}

async function freeName(
  client: PoolClient,
  root: CampaignRow,
  wanted: string | undefined,
): Promise<string | undefined> {
  if (wanted !== undefined) return (await findCampaign(client, wanted, undefined)) === undefined ? wanted : undefined;
  for (let number = 1; ; number++) {
    const name = number === 1 ? `${root.name}-rest` : `${root.name}-rest-${number}`;
    if ((await findCampaign(client, name, undefined)) === undefined) return name;
  }
}

// ---- who -------------------------------------------------------------------------------------------------------------

interface RestList {
  readonly listId: ListId;
  readonly uptoN: number;
  readonly recipients: number;
  readonly stood: Standings;
  readonly left: Standings;
}

async function copyEligible(client: PoolClient, root: CampaignRow, wish: RestWish): Promise<RestList> {
  const list = await readList(client, root.list_id);
  const listId = (await createList(client, undefined, list.columns))!;
  const { id: importId } = await beginImport(client, listId, `rest of cmp_${root.id}`);
  const lastN = await lastRecipient(client, root.list_id);
  const given = {
    rootId: root.id,
    fromListId: root.list_id,
    toListId: listId,
    importId,
    allowed: [...ALWAYS, ...(wish.also ?? [])],
    since: storyBeginsAt(root),
  };
  const rows: StoodRow[] = [];
  for (let afterN = 0; ;) {
    const uptoN = await endOfSlice(client, root.list_id, { afterN, lastN, rowsMax: SLICE_ROWS });
    if (uptoN === undefined) break;
    rows.push(...(await copyRest(client, { ...given, afterN, uptoN })));
    wish.onProgress?.(sumOf(rows), list.recipients);
    afterN = uptoN;
  }
  const copied = rows.filter((row) => row.is_copied);
  const recipients = sumOf(copied);
  await addUp(client, importId, { added: recipients, doubled: 0, rejected: 0 });
  await finishImport(client, importId);
  const left = rows.filter((row) => !row.is_copied);
  return { listId, uptoN: lastN, recipients, stood: byStanding(copied), left: byStanding(left) };
}

function sumOf(rows: readonly StoodRow[]): number {
  return rows.reduce((sum, { n }) => sum + n, 0);
}

function byStanding(rows: readonly StoodRow[]): Standings {
  const sums: Partial<Record<StoodRow["standing"], number>> = {};
  for (const { standing, n } of rows) sums[standing] = (sums[standing] ?? 0) + n;
  return sums;
}

// ---- the campaign ----------------------------------------------------------------------------------------------------

async function openRest(
  client: PoolClient,
  { root, campaign }: Family,
  list: RestList,
  name: string,
): Promise<CampaignId> {
  const id = await createCampaign(client, {
    name,
    lane: root.lane,
    listId: list.listId,
    contentId: campaign.content_id,
    status: "draft",
    list: root.list,
    noUnsubscribe: root.no_unsubscribe ?? undefined,
    restOf: root.id,
  });
  // Somebody has taken the name since we looked.
  if (id === undefined) throw new Error(`the name "${name}" was taken meanwhile: try again`);
  await noteRest(client, { id, stood: list.stood }, { id: root.id, uptoN: list.uptoN });
  return id;
}

async function startRest(client: PoolClient, id: CampaignId): Promise<CampaignStatus> {
  const started = await startWithin(client, id, { when: { kind: "now" } });
  if (started.kind === "refused") throw new Error(`the rest ${id} cannot be started: ${started.why}`);
  return started.status;
}
