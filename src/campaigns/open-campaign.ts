// A campaign is made, or one of a file is taken up again: its name is what the person knows it by. Assumes that template and
// list were checked against each other. Accepts nobody.

import type { Pool } from "pg";
import type { CampaignId, ListId } from "../mail/ids.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { holdsTemplate, insertTemplate, type TemplateParts } from "../templates/template-store.ts";
import { createCampaign, findCampaign, type CampaignRow, type CampaignStatus } from "./campaign-store.ts";
import { refused, type CampaignRefused } from "./check-campaign.ts";
import { joinList } from "./join-list.ts";
import type { ColumnType, ListColumn } from "./list-columns.ts";
import { createList } from "./list-store.ts";

export interface CampaignOpening {
  readonly name: string;
  readonly lane: string;
  readonly template: TemplateParts;
  readonly columns: readonly ListColumn[];
  /** As they were given. */
  readonly types: Readonly<Record<string, ColumnType>>;
  /** In which it may be taken up again. */
  readonly from: readonly CampaignStatus[];
  /** What people unsubscribe from, and whether somebody has said so. */
  readonly listName: string;
  readonly isListNameGiven: boolean;
  readonly noUnsubscribe?: string | undefined;
}

export interface OpenCampaign {
  readonly id: CampaignId;
  readonly name: string;
  readonly listId: ListId;
  /** Of this file; of a type that the campaign's list has already, the list's. */
  readonly columns: readonly ListColumn[];
}

export async function openCampaign(pool: Pool, wish: CampaignOpening): Promise<OpenCampaign | CampaignRefused> {
  const { name, columns } = wish;
  const opened = await createOnce(pool, { ...wish, list: columns, status: "importing" });
  switch (opened.kind) {
    case "made":
      return { id: opened.id, name, listId: opened.listId, columns };
    case "exists":
      return await reopen(pool, opened.campaign, wish);
    case "refused":
      return opened;
  }
}

export interface NewDraft extends Pick<CampaignOpening, "name" | "lane" | "template" | "listName" | "noUnsubscribe"> {
  readonly status: "importing" | "draft";
  /** A kept one, or the columns of one that is made for it. */
  readonly list: ListId | readonly ListColumn[];
}

export type CreateAnswer =
  | { readonly kind: "made"; readonly id: CampaignId; readonly listId: ListId }
  | { readonly kind: "exists"; readonly campaign: CampaignRow }
  | CampaignRefused;

export async function createOnce(pool: Pool, wish: NewDraft): Promise<CreateAnswer> {
  const { name, lane } = wish;
  const existing = await findCampaign(pool, name, undefined);
  if (existing !== undefined) return { kind: "exists", campaign: existing };
  const made = await createWithTemplate(pool, wish);
  if (made !== undefined) return { kind: "made", ...made };
  // Somebody else made it in between, or there is no such lane.
  const since = await findCampaign(pool, name, undefined);
  return since === undefined ? noLane(lane) : { kind: "exists", campaign: since };
}

/** All of it, or nothing: a template and a list without their campaign would be left behind for ever. */
async function createWithTemplate(pool: Pool, { list, listName, template, ...wish }: NewDraft) {
  const notCreated = new Error("not created");
  try {
    return await inTransaction(pool, async (client) => {
      const contentId = await insertTemplate(client, template);
      const listId = typeof list === "number" ? list : (await createList(client, undefined, list))!;
      const id = await createCampaign(client, { ...wish, listId, contentId, list: listName });
      if (id === undefined) throw notCreated;
      return { id, listId };
    });
  } catch (error) {
    if (error !== notCreated) throw error;
    return undefined;
  }
}

function noLane(lane: string): CampaignRefused {
  return refused("lane", [
    `there is no lane "${lane}"; lanes are made in postlane.yaml, and in force with \`postlane up\``,
  ]);
}

/** The same campaign again: rows that it does not have yet are added, with the template that it has. */
async function reopen(
  pool: Pool,
  campaign: CampaignRow,
  wish: CampaignOpening,
): Promise<OpenCampaign | CampaignRefused> {
  const { id, name, list_id: listId } = campaign;
  const other = "give this one another name";
  if (campaign.status === "canceled") return refused("campaign", [`${wasCanceled(name)}; ${other}`]);
  if (!wish.from.includes(campaign.status)) return existsAlready(campaign);
  if (campaign.rest_of !== null) {
    return refused("campaign", [`campaign "${name}" sends the rest of another one, and takes no file; ${other}`]);
  }
  if (campaign.list_name !== null) {
    return refused("campaign", [
      `campaign "${name}" goes to the kept list ${campaign.list_name}: import the file into that list, or ${other}`,
    ]);
  }
  if (campaign.lane !== wish.lane) {
    return refused("campaign", [`campaign "${name}" is in lane ${campaign.lane}, not ${wish.lane}; ${other}`]);
  }
  if (wish.isListNameGiven && campaign.list !== wish.listName) {
    return refused("campaign", [`campaign "${name}" goes to list ${campaign.list}, not ${wish.listName}; ${other}`]);
  }
  if (wish.noUnsubscribe === undefined && campaign.no_unsubscribe !== null) {
    return refused("campaign", [`campaign "${name}" was begun with --no-unsubscribe; give it again, or ${other}`]);
  }
  if (!(await holdsTemplate(pool, campaign.content_id, wish.template))) {
    return refused("campaign", [`campaign "${name}" was begun with another template or sender; ${other}`]);
  }
  const joined = await inTransaction(pool, (client) => joinList(client, listId, wish.columns, wish.types));
  return joined.kind === "bad" ? refused("list", [joined.problem]) : { id, name, listId, columns: joined.columns };
}

export function existsAlready({ name, status }: CampaignRow): CampaignRefused {
  const what = status === "draft" ? "is a draft" : `is ${status}`;
  return refused("campaign", [`there is a campaign "${name}", which ${what}: give this one another name`]);
}

export function wasCanceled(name: string): string {
  return `campaign "${name}" was canceled`;
}

const NAME_CHARS_MAX = 200;

/** Why a text cannot be a campaign's name. */
export function nameProblem(name: string): string | undefined {
  if (name.trim() !== "" && name.length <= NAME_CHARS_MAX && !/[\p{Cc}\p{Cs}]/u.test(name)) return undefined;
  return `a campaign's name is 1 to ${NAME_CHARS_MAX} characters in one line`;
}
