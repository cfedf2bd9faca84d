// `campaign send`: create, check, import and start in one. Nothing is accepted before template and list have been
// checked against each other, nor before the whole list is in. The same file under the same campaign accepts nobody twice,
// so a killed import is simply run again.

import path from "node:path";
import pg, { type Pool } from "pg";
import type { CampaignId } from "../mail/ids.ts";
import { listNameFrom } from "../mail/list-name.ts";
import { checkCampaign, checkCells, readColumns, refused, type CampaignRefused } from "./check-campaign.ts";
import { CanceledMeanwhile, importCampaignFile } from "./import-campaign-file.ts";
import type { ImportCounts, ImportProgress } from "./import-list.ts";
import type { ColumnType } from "./list-columns.ts";
import { nameProblem, openCampaign, wasCanceled, type CampaignOpening } from "./open-campaign.ts";
import { prepareRejects } from "./rejects-file.ts";
import { EXTENDABLE, startCampaign, type StartAnswer, type StartRefusal, type StartWish } from "./start-campaign.ts";
import type { UnsubscribeOffer } from "./unsubscribe-offer.ts";

export interface CampaignWish {
  readonly file: string;
  /** A folder, or where there is none a pushed template by name or name@version. */
  readonly templateDir: string;
  readonly lane: string;
  /** Of columns whose cells are no texts. */
  readonly types?: Readonly<Record<string, ColumnType>>;
  /** By default the name of the file without its ending. */
  readonly name?: string;
  /** Goes before the template's own. */
  readonly from?: string;
  /** What recipients unsubscribe from; by default the name of the file without its ending, made to fit. */
  readonly list?: string;
  /** What the lane and the configuration offer to recipients who want no more; absent: nothing is said of it. */
  readonly unsubscribe?: UnsubscribeOffer;
  /** A person's reason to send without a way to unsubscribe. */
  readonly noUnsubscribe?: string;
  /** Goes on although cells are empty for which the template has no default. */
  readonly allowEmpty?: boolean;
  /** By default at once. */
  readonly start?: StartWish;
  /** By default beside the list: `LIST.rejects.csv`. */
  readonly rejectsFile?: string;
  readonly onProgress?: (progress: ImportProgress) => void;
}

export type CampaignAnswer = CampaignSent | CampaignRefused;

export interface CampaignSent extends ImportCounts {
  readonly kind: "sent";
  readonly campaignId: CampaignId;
  readonly name: string;
  readonly started: Extract<StartAnswer, { kind: "started" }>;
  readonly rejectsFile?: string;
}

export async function sendCampaign(pool: Pool, wish: CampaignWish): Promise<CampaignAnswer> {
  const checked = await checkWish(pool, wish);
  if ("code" in checked) return checked;
  const rejects = await prepareRejects(wish.file, wish.rejectsFile);
  if ("code" in rejects) return rejects;
  try {
    const campaign = await openCampaign(pool, checked);
    if ("code" in campaign) return campaign;
    const counts = await importCampaignFile(pool, campaign, wish, rejects);
    const rejectsFile = await rejects.finish();
    const started = await startCampaign(pool, campaign.id, wish.start ?? { when: { kind: "now" } }, EXTENDABLE);
    if (started.kind === "refused") return refused("campaign", [whyNotStarted(started.why, campaign.name)]);
    const { id: campaignId, name } = campaign;
    return {
      kind: "sent",
      campaignId,
      name,
      ...counts,
      started,
      ...(rejectsFile === undefined ? {} : { rejectsFile }),
    };
  } catch (error) {
    if (error instanceof CanceledMeanwhile) return refused("campaign", [error.message]);
    if (isLaneFull(error)) return refused("lane", [error.message, error.hint ?? ""]);
    throw error;
  } finally {
    await rejects.abandon();
  }
}

async function checkWish(pool: Pool, wish: CampaignWish): Promise<CampaignOpening | CampaignRefused> {
  const { file, templateDir, list, lane, noUnsubscribe } = wish;
  const baseName = path.basename(file, path.extname(file));
  const name = wish.name ?? baseName;
  const problem = nameProblem(name);
  if (problem !== undefined) return refused("campaign", [problem]);
  const columns = await readColumns(file, wish.types);
  if ("code" in columns) return columns;
  const check = { ...wish, template: { named: templateDir }, ...(list === undefined ? {} : { listName: list }) };
  const checked = await checkCampaign(
    pool,
    check,
    columns.map((column) => column.name),
  );
  if (checked.kind === "refused") return checked;
  const empty = wish.allowEmpty === true ? undefined : await checkCells(file, checked.parsed);
  if (empty !== undefined) return empty;
  return {
    name,
    lane,
    template: checked.template,
    columns,
    types: wish.types ?? {},
    from: EXTENDABLE,
    listName: list ?? listNameFrom(baseName),
    isListNameGiven: list !== undefined,
    noUnsubscribe,
  };
}

/** The list is in by then: the same command starts it. */
function whyNotStarted(why: StartRefusal, name: string): string {
  if (why === "importing") return "another file is being imported into its list: run this again when that is over";
  if (why === "over") return "that local time is over for everyone on the list: run this again with a later one";
  return wasCanceled(name);
}

const LANE_FULL = "PL009";

function isLaneFull(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && error.code === LANE_FULL;
}
