// `campaign send`: create, check, import and start in one. Nothing is accepted before template and list have been
// checked against each other, nor before the whole list is in. The same file under the same campaign accepts nobody twice,
// so a killed import is simply run again.

import { createReadStream, statSync } from "node:fs";
import path from "node:path";
import pg, { type Pool, type PoolClient } from "pg";
import type { CampaignId, ListId } from "../mail/ids.ts";
import { isListName, LIST_NAME_EXPECTED, listNameFrom } from "../mail/list-name.ts";
import { checkTemplate } from "../templates/check-template.ts";
import { hasAttachments } from "../templates/attachment-store.ts";
import { printProblem } from "../templates/compiled-template.ts";
import { loadTemplateFolder } from "../templates/load-template-folder.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { NO_PLACES, type ParsedTemplate } from "../templates/parse-template.ts";
import { prepareTemplate, type TemplatePrepared } from "../templates/prepare-template.ts";
import { parseTemplateId } from "../templates/template-id.ts";
import { insertTemplate, readContent, readTemplateParts, type TemplateParts } from "../templates/template-store.ts";
import { requiredVariables, templateVariables, UNSUBSCRIBE_URL } from "../templates/template-variables.ts";
import { createCampaign, findCampaign, type CampaignRow } from "./campaign-store.ts";
import { findEmptyCells, type EmptyCells } from "./check-list.ts";
import { CsvHeaderError } from "./csv-header.ts";
import { readCsvRows } from "./csv-rows.ts";
import { importList, type ImportCounts, type ImportProgress } from "./import-list.ts";
import { typeColumns, type ColumnType, type ListColumn } from "./list-columns.ts";
import { createList, readList } from "./list-store.ts";
import { openRejectsFile, type RejectsFile } from "./rejects-file.ts";
import { EXTENDABLE, startCampaign } from "./start-campaign.ts";

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
  /** By default beside the list: `LIST.rejects.csv`. */
  readonly rejectsFile?: string;
  readonly onProgress?: (progress: ImportProgress & { readonly bytesTotal: number }) => void;
}

/**
 * `offered`: each message says where to unsubscribe; `not_bulk`: the lane's mail says nothing of it; `kept_here`: bulk
 * without `public_url`, but nothing leaves this machine; `missing`: bulk without `public_url`.
 */
export type UnsubscribeOffer = "offered" | "not_bulk" | "kept_here" | "missing";

export type CampaignAnswer = CampaignSent | CampaignRefused;

export interface CampaignSent extends ImportCounts {
  readonly kind: "sent";
  readonly campaignId: CampaignId;
  readonly name: string;
  readonly rejectsFile?: string;
}

export interface CampaignRefused {
  readonly kind: "refused";
  readonly code: "list" | "template" | "empty_cells" | "campaign" | "lane" | "unsubscribe";
  /** What is wrong and what to do, a line each. */
  readonly problems: readonly string[];
  readonly empty?: EmptyCells;
}

export async function sendCampaign(pool: Pool, wish: CampaignWish): Promise<CampaignAnswer> {
  const checked = await checkWish(pool, wish);
  if (checked.kind === "refused") return checked;
  const rejects = await prepareRejects(wish);
  if ("code" in rejects) return rejects;
  try {
    const campaign = await openCampaign(pool, wish, checked);
    if ("code" in campaign) return campaign;
    const counts = await importInto(pool, campaign, wish, rejects);
    const rejectsFile = await rejects.finish();
    const started = await startCampaign(pool, campaign.id, { when: { kind: "now" } }, EXTENDABLE);
    if (started.kind === "refused") return refused("campaign", [wasCanceled(campaign.name)]);
    const { id: campaignId, name } = campaign;
    return { kind: "sent", campaignId, name, ...counts, ...(rejectsFile === undefined ? {} : { rejectsFile }) };
  } catch (error) {
    if (error instanceof CanceledMeanwhile) return refused("campaign", [error.message]);
    if (isLaneFull(error)) return refused("lane", [error.message, error.hint ?? ""]);
    throw error;
  } finally {
    await rejects.abandon();
  }
}

// ---- check -----------------------------------------------------------------------------------------------------------

interface Checked {
  readonly kind: "checked";
  readonly template: TemplateParts;
  readonly columns: readonly ListColumn[];
}

async function checkWish(pool: Pool, wish: CampaignWish): Promise<Checked | CampaignRefused> {
  const unsubscribe = checkUnsubscribe(wish);
  if (unsubscribe !== undefined) return unsubscribe;
  const loaded = await loadTemplate(pool, wish.templateDir);
  if ("code" in loaded) return loaded;
  if (loaded.kind === "bad") return refused("template", loaded.problems.map(printProblem));
  const columns = await readColumns(wish);
  if ("code" in columns) return columns;
  const names = columns.map(({ name }) => name);
  const problems = checkTemplate(loaded.template, [...names, UNSUBSCRIBE_URL]);
  const hole = checkUnsubscribeUrl(wish, loaded.template, names);
  if (hole !== undefined) return hole;
  if (problems.length > 0) return refused("template", problems.map(printProblem));
  const empty = await checkCells(wish, loaded.template);
  if (empty !== undefined) return empty;
  const source = { ...loaded.source, ...(wish.from === undefined ? {} : { from: wish.from }) };
  return { kind: "checked", template: { source, octets: loaded.octets }, columns };
}

function checkUnsubscribe({ unsubscribe, noUnsubscribe, list }: CampaignWish): CampaignRefused | undefined {
  if (list !== undefined && !isListName(list)) {
    return refused("unsubscribe", [`"${list}" is not the name of a list: give ${LIST_NAME_EXPECTED}`]);
  }
  if (noUnsubscribe !== undefined && !isReason(noUnsubscribe)) {
    return refused("unsubscribe", [
      `--no-unsubscribe wants a reason of 1 to ${REASON_CHARS_MAX} characters in one line`,
    ]);
  }
  if (unsubscribe !== "missing" || noUnsubscribe !== undefined) return undefined;
  return refused("unsubscribe", [
    "nobody could unsubscribe from it: public_url is not set",
    "set public_url in postlane.yaml to where the world reaches the front, such as https://mail.example.com",
    'or go on with --no-unsubscribe "REASON", which is kept with the campaign; the big providers refuse such mail',
  ]);
}

const REASON_CHARS_MAX = 500;

function isReason(text: string): boolean {
  return text.trim() !== "" && text.length <= REASON_CHARS_MAX && !/[\p{Cc}\p{Cs}]/u.test(text);
}

/** Printed without an address it would leave a hole in each mail. */
function checkUnsubscribeUrl(
  { unsubscribe, noUnsubscribe }: CampaignWish,
  template: ParsedTemplate,
  columns: readonly string[],
): CampaignRefused | undefined {
  const hasAddress = unsubscribe === "offered" && noUnsubscribe === undefined;
  if (hasAddress || columns.includes(UNSUBSCRIBE_URL)) return undefined;
  const first = templateVariables(template).find(({ name }) => name === UNSUBSCRIBE_URL);
  if (first === undefined) return undefined;
  const message = `there is no ${UNSUBSCRIBE_URL}: ${WHY_NO_URL[noUnsubscribe === undefined ? (unsubscribe ?? "missing") : "told"]}`;
  return refused("template", [printProblem({ ...first, message })]);
}

const WHY_NO_URL = {
  told: "--no-unsubscribe was given",
  offered: "",
  not_bulk: "only mail of a bulk lane has one",
  kept_here: "set public_url; to try it on this machine, http://127.0.0.1:2580",
  missing: "set public_url",
} as const;

async function loadTemplate(pool: Pool, given: string): Promise<TemplatePrepared | CampaignRefused> {
  const id = statSync(given, { throwIfNoEntry: false }) === undefined ? parseTemplateId(given) : undefined;
  if (id === undefined) return await loadTemplateFolder(given);
  const pushed = await readTemplateParts(pool, id);
  if (pushed !== undefined) return prepareTemplate(pushed.source, NO_PLACES, pushed.octets);
  return refused("template", [`there is no folder ${given}, and no pushed template of that name`]);
}

async function readColumns({ file, types = {} }: CampaignWish): Promise<readonly ListColumn[] | CampaignRefused> {
  // It is read more than once, and its size says how far the import is.
  if (!isRegularFile(file)) return refused("list", [`${file} is not a file`]);
  const input = createReadStream(file);
  try {
    const { columns, addressColumn } = await readCsvRows(input);
    const typed = typeColumns(columns, addressColumn, types);
    return typed.kind === "bad" ? refused("list", [`${file}: ${typed.problem}`]) : typed.columns;
  } catch (error) {
    if (error instanceof CsvHeaderError) return refused("list", [`${file}: ${error.message}`]);
    if (isSystemError(error)) return refused("list", [`${file} cannot be read: ${error.message}`]);
    throw error;
  } finally {
    input.destroy();
  }
}

function isRegularFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}

async function checkCells(wish: CampaignWish, template: ParsedTemplate): Promise<CampaignRefused | undefined> {
  if (wish.allowEmpty === true) return undefined;
  const required = requiredVariables(template);
  const empty = await findEmptyCells(wish.file, required);
  if (empty.rows === 0) return undefined;
  const problems = [
    `${empty.rows} rows of the list have an empty cell that the template needs`,
    ...empty.first.map(({ line, address, columns }) => `line ${line}, ${address}: ${columns.join(", ")} is empty`),
    `give a default in the template, such as {{ ${empty.first[0]!.columns[0]!} | default: "friend" }}, fill the cells, ` +
      "or go on with --allow-empty",
  ];
  return { ...refused("empty_cells", problems), empty };
}

async function prepareRejects(wish: CampaignWish): Promise<RejectsFile | CampaignRefused> {
  const file = wish.rejectsFile ?? `${wish.file.replace(/\.csv$/i, "")}.rejects.csv`;
  if (path.resolve(file) === path.resolve(wish.file))
    return refused("list", ["the rejects file cannot be the list itself"]);
  try {
    return await openRejectsFile(file);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return refused("list", [`the rejects file ${file} cannot be written: ${error.message}`]);
  }
}

// ---- create ----------------------------------------------------------------------------------------------------------

interface OpenCampaign {
  readonly id: CampaignId;
  readonly name: string;
  readonly listId: ListId;
  /** Of this file; of a type that the campaign's list has already, the list's. */
  readonly columns: readonly ListColumn[];
}

async function openCampaign(pool: Pool, wish: CampaignWish, checked: Checked): Promise<OpenCampaign | CampaignRefused> {
  const name = wish.name ?? path.basename(wish.file, path.extname(wish.file));
  const existing = await findCampaign(pool, name, undefined);
  if (existing !== undefined) return reopen(pool, existing, wish, checked);
  const made = await createWithTemplate(pool, name, wish, checked);
  if (made !== undefined) return { ...made, name, columns: checked.columns };
  // Somebody else made it in between, or there is no such lane.
  const since = await findCampaign(pool, name, undefined);
  if (since !== undefined) return reopen(pool, since, wish, checked);
  return refused("lane", [
    `there is no lane "${wish.lane}"; lanes are made in postlane.yaml, and in force with \`postlane up\``,
  ]);
}

/** All of it, or nothing: a template and a list without their campaign would be left behind for ever. */
async function createWithTemplate(pool: Pool, name: string, wish: CampaignWish, { template, columns }: Checked) {
  const notCreated = new Error("not created");
  try {
    return await inTransaction(pool, async (client) => {
      const contentId = await insertTemplate(client, template);
      const listId = (await createList(client, undefined, columns))!;
      const { lane, noUnsubscribe } = wish;
      const given = { name, lane, listId, contentId, status: "importing", list: listOf(wish), noUnsubscribe } as const;
      const id = await createCampaign(client, given);
      if (id === undefined) throw notCreated;
      return { id, listId };
    });
  } catch (error) {
    if (error !== notCreated) throw error;
    return undefined;
  }
}

function listOf({ list, file }: CampaignWish): string {
  return list ?? listNameFrom(path.basename(file, path.extname(file)));
}

/** The same campaign again: rows that it does not have yet are added, with the template that it has. */
async function reopen(
  pool: Pool,
  campaign: CampaignRow,
  wish: CampaignWish,
  { template: { source, octets }, columns }: Checked,
): Promise<OpenCampaign | CampaignRefused> {
  const { id, name, list_id: listId } = campaign;
  const other = "give this one another --name";
  if (campaign.status === "canceled") return refused("campaign", [`${wasCanceled(name)}; ${other}`]);
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
  if (wish.list !== undefined && campaign.list !== wish.list) {
    return refused("campaign", [`campaign "${name}" goes to list ${campaign.list}, not ${wish.list}; ${other}`]);
  }
  if (wish.noUnsubscribe === undefined && campaign.no_unsubscribe !== null) {
    return refused("campaign", [`campaign "${name}" was begun with --no-unsubscribe; give it again, or ${other}`]);
  }
  const kept = JSON.stringify(await readContent(pool, campaign.content_id));
  if (kept !== JSON.stringify(source) || !(await hasAttachments(pool, campaign.content_id, octets))) {
    return refused("campaign", [`campaign "${name}" was begun with another template or sender; ${other}`]);
  }
  const known = new Map((await readList(pool, listId)).columns.map((column) => [column.name, column.type]));
  return { id, name, listId, columns: columns.map((one) => ({ ...one, type: known.get(one.name) ?? one.type })) };
}

// ---- import ----------------------------------------------------------------------------------------------------------

async function importInto(
  pool: Pool,
  { id, name, listId, columns }: OpenCampaign,
  wish: CampaignWish,
  rejects: RejectsFile,
): Promise<ImportCounts> {
  const bytesTotal = statSync(wish.file).size;
  return await importList(pool, {
    listId,
    file: wish.file,
    columns,
    onRejected: (rows) => rejects.add(rows),
    onProgress: (progress) => wish.onProgress?.({ ...progress, bytesTotal }),
    mayGoOn: (client) => refuseCanceled(client, id, name),
  });
}

async function refuseCanceled(client: PoolClient, id: CampaignId, name: string): Promise<void> {
  const campaign = await findCampaign(client, "", id);
  if (campaign?.status === "canceled") throw new CanceledMeanwhile(wasCanceled(name));
}

class CanceledMeanwhile extends Error {}

function wasCanceled(name: string): string {
  return `campaign "${name}" was canceled`;
}

const LANE_FULL = "PL009";

function isLaneFull(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && error.code === LANE_FULL;
}

function refused(code: CampaignRefused["code"], problems: readonly string[]): CampaignRefused {
  return { kind: "refused", code, problems };
}
