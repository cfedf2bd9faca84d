// `campaign create`: a draft, to be looked at before it is started. Nobody is accepted. Its list is a kept one, or a file that
// is imported here: a killed import is taken up when the same is asked again. Empty cells are for preflight to find.

import path from "node:path";
import type { Pool } from "pg";
import type { CampaignId, ListId } from "../mail/ids.ts";
import { listNameFrom } from "../mail/list-name.ts";
import { findCampaign, moveCampaignIfIn } from "./campaign-store.ts";
import {
  checkCampaign,
  readColumns,
  refused,
  type CampaignCheck,
  type CampaignRefused,
  type TemplateWish,
} from "./check-campaign.ts";
import { CanceledMeanwhile, importCampaignFile } from "./import-campaign-file.ts";
import type { ImportCounts, ImportProgress } from "./import-list.ts";
import type { ColumnType } from "./list-columns.ts";
import { findList } from "./list-store.ts";
import { createOnce, existsAlready, nameProblem, openCampaign, wasCanceled } from "./open-campaign.ts";
import { prepareRejects, type RejectsFile } from "./rejects-file.ts";
import type { UnsubscribeOffer } from "./unsubscribe-offer.ts";

export interface DraftWish {
  readonly name: string;
  readonly lane: string;
  readonly list: DraftList;
  readonly template: TemplateWish;
  /** Goes before the template's own. */
  readonly from?: string;
  /** What recipients unsubscribe from; by default the kept list's name, or the file's without its ending, made to fit. */
  readonly listName?: string;
  /** What the lane and the configuration offer to recipients who want no more. */
  readonly unsubscribe: UnsubscribeOffer;
  /** A person's reason to send without a way to unsubscribe. */
  readonly noUnsubscribe?: string;
  readonly onProgress?: (progress: ImportProgress) => void;
}

export type DraftList =
  | { readonly kept: string }
  | {
      readonly file: string;
      /** Of columns whose cells are no texts. */
      readonly types?: Readonly<Record<string, ColumnType>>;
      /** By default beside the list: `LIST.rejects.csv`. */
      readonly rejectsFile?: string;
    };

type DraftFile = Exclude<DraftList, { readonly kept: string }>;

export interface DraftCreated {
  readonly kind: "created";
  readonly campaignId: CampaignId;
  readonly name: string;
  readonly listId: ListId;
  /** Of its file. */
  readonly imported?: ImportCounts & { readonly rejectsFile: string | undefined };
}

export async function createDraft(pool: Pool, wish: DraftWish): Promise<DraftCreated | CampaignRefused> {
  const problem = nameProblem(wish.name);
  if (problem !== undefined) return refused("campaign", [problem]);
  const { list } = wish;
  return "kept" in list ? await draftOfKept(pool, wish, list.kept) : await draftOfFile(pool, wish, list);
}

// ---- of a kept list --------------------------------------------------------------------------------------------------

async function draftOfKept(pool: Pool, wish: DraftWish, kept: string): Promise<DraftCreated | CampaignRefused> {
  const list = await findList(pool, kept);
  if (list === undefined) return noList(kept);
  const { name, lane, listName = kept, noUnsubscribe } = wish;
  const checked = await checkCampaign(pool, checkOf(wish), namesOf(list.columns));
  if (checked.kind === "refused") return checked;
  const { template } = checked;
  const given = { name, lane, template, list: list.id, status: "draft", listName, noUnsubscribe } as const;
  const made = await createOnce(pool, given);
  return made.kind === "made"
    ? { kind: "created", campaignId: made.id, name, listId: list.id }
    : made.kind === "exists"
      ? existsAlready(made.campaign)
      : made;
}

function noList(name: string): CampaignRefused {
  return refused("list", [
    `there is no kept list "${name}", and no file of that name: \`postlane list list\` shows the lists, ` +
      `\`postlane list import ${name} FILE\` makes one`,
  ]);
}

function namesOf(columns: readonly { readonly name: string }[]): readonly string[] {
  return columns.map(({ name }) => name);
}

function checkOf({ template, from, listName, unsubscribe, noUnsubscribe }: DraftWish): CampaignCheck {
  return {
    template,
    unsubscribe,
    ...(from === undefined ? {} : { from }),
    ...(listName === undefined ? {} : { listName }),
    ...(noUnsubscribe === undefined ? {} : { noUnsubscribe }),
  };
}

// ---- of a file -------------------------------------------------------------------------------------------------------

async function draftOfFile(pool: Pool, wish: DraftWish, list: DraftFile): Promise<DraftCreated | CampaignRefused> {
  const columns = await readColumns(list.file, list.types);
  if ("code" in columns) return columns;
  const checked = await checkCampaign(pool, checkOf(wish), namesOf(columns));
  if (checked.kind === "refused") return checked;
  const rejects = await prepareRejects(list.file, list.rejectsFile);
  if ("code" in rejects) return rejects;
  try {
    const { name, lane, listName, noUnsubscribe } = wish;
    const campaign = await openCampaign(pool, {
      name,
      lane,
      template: checked.template,
      columns,
      types: list.types ?? {},
      from: ["importing"],
      listName: listName ?? listNameFrom(path.basename(list.file, path.extname(list.file))),
      isListNameGiven: listName !== undefined,
      noUnsubscribe,
    });
    if ("code" in campaign) return campaign;
    return await importDraft(pool, campaign, { file: list.file, onProgress: wish.onProgress }, rejects);
  } finally {
    await rejects.abandon();
  }
}

async function importDraft(
  pool: Pool,
  campaign: Parameters<typeof importCampaignFile>[1],
  given: Parameters<typeof importCampaignFile>[2],
  rejects: RejectsFile,
): Promise<DraftCreated | CampaignRefused> {
  const { id: campaignId, name, listId } = campaign;
  try {
    const counts = await importCampaignFile(pool, campaign, given, rejects);
    const rejectsFile = await rejects.finish();
    await moveCampaignIfIn(pool, campaignId, "draft", ["importing"]);
    // Whoever imported the same at the same time may have been first.
    const now = await findCampaign(pool, "", campaignId);
    if (now?.status === "canceled") return refused("campaign", [wasCanceled(name)]);
    return { kind: "created", campaignId, name, listId, imported: { ...counts, rejectsFile } };
  } catch (error) {
    if (error instanceof CanceledMeanwhile) return refused("campaign", [error.message]);
    throw error;
  }
}
