// A campaign of a file is made, or taken up again: its name is what the person knows it by. Assumes that template and list
// were checked against each other. Accepts nobody.

import type { Pool } from "pg";
import type { CampaignId, ListId } from "../mail/ids.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { hasAttachments } from "../templates/attachment-store.ts";
import { insertTemplate, readContent, type TemplateParts } from "../templates/template-store.ts";
import { createCampaign, findCampaign, type CampaignRow } from "./campaign-store.ts";
import { refused, type CampaignRefused } from "./check-campaign.ts";
import type { ListColumn } from "./list-columns.ts";
import { createList, readList } from "./list-store.ts";

export interface CampaignOpening {
  readonly name: string;
  readonly lane: string;
  readonly template: TemplateParts;
  readonly columns: readonly ListColumn[];
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
  const { name, lane, columns } = wish;
  const existing = await findCampaign(pool, name, undefined);
  if (existing !== undefined) return reopen(pool, existing, wish);
  const made = await createWithTemplate(pool, wish);
  if (made !== undefined) return { ...made, name, columns };
  // Somebody else made it in between, or there is no such lane.
  const since = await findCampaign(pool, name, undefined);
  return since === undefined ? noLane(lane) : reopen(pool, since, wish);
}

/** All of it, or nothing: a template and a list without their campaign would be left behind for ever. */
async function createWithTemplate(pool: Pool, wish: CampaignOpening) {
  const { name, lane, template, columns, listName, noUnsubscribe } = wish;
  const notCreated = new Error("not created");
  try {
    return await inTransaction(pool, async (client) => {
      const contentId = await insertTemplate(client, template);
      const listId = (await createList(client, undefined, columns))!;
      const given = { name, lane, listId, contentId, status: "importing", list: listName, noUnsubscribe } as const;
      const id = await createCampaign(client, given);
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
  const { source, octets } = wish.template;
  const other = "give this one another --name";
  if (campaign.status === "canceled") return refused("campaign", [`${wasCanceled(name)}; ${other}`]);
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
  const kept = JSON.stringify(await readContent(pool, campaign.content_id));
  if (kept !== JSON.stringify(source) || !(await hasAttachments(pool, campaign.content_id, octets))) {
    return refused("campaign", [`campaign "${name}" was begun with another template or sender; ${other}`]);
  }
  const known = new Map((await readList(pool, listId)).columns.map((column) => [column.name, column.type]));
  return { id, name, listId, columns: wish.columns.map((one) => ({ ...one, type: known.get(one.name) ?? one.type })) };
}

export function wasCanceled(name: string): string {
  return `campaign "${name}" was canceled`;
}
