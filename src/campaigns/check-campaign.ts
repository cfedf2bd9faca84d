// What is checked before a campaign is made or changed: can people unsubscribe, is the template whole, does the list have
// every column that it names. Nothing is written here. Empty cells are looked for only where somebody asks: it reads the
// whole list.

import { createReadStream, statSync } from "node:fs";
import type { Pool } from "pg";
import { isListName, LIST_NAME_EXPECTED } from "../mail/list-name.ts";
import { checkTemplate } from "../templates/check-template.ts";
import { printProblem } from "../templates/compiled-template.ts";
import { loadTemplateFolder } from "../templates/load-template-folder.ts";
import { NO_PLACES, type ParsedTemplate } from "../templates/parse-template.ts";
import { prepareTemplate, type TemplatePrepared } from "../templates/prepare-template.ts";
import { parseTemplateId } from "../templates/template-id.ts";
import { readTemplateParts, type TemplateParts } from "../templates/template-store.ts";
import { requiredVariables, templateVariables, UNSUBSCRIBE_URL } from "../templates/template-variables.ts";
import { findEmptyCells, type EmptyCells } from "./check-list.ts";
import { CsvHeaderError } from "./csv-header.ts";
import { readCsvRows } from "./csv-rows.ts";
import { typeColumns, type ColumnType, type ListColumn } from "./list-columns.ts";
import type { UnsubscribeOffer } from "./unsubscribe-offer.ts";

export interface CampaignRefused {
  readonly kind: "refused";
  readonly code: "list" | "template" | "empty_cells" | "campaign" | "lane" | "unsubscribe";
  /** What is wrong and what to do, a line each. */
  readonly problems: readonly string[];
  readonly empty?: EmptyCells;
}

export function refused(code: CampaignRefused["code"], problems: readonly string[]): CampaignRefused {
  return { kind: "refused", code, problems };
}

/**
 * `named`: a folder of this machine, or where there is none a pushed template; `pushed`: by name or name@version, and never
 * a folder; `prepared`: as it came in a request.
 */
export type TemplateWish =
  | { readonly named: string }
  | { readonly pushed: string }
  | { readonly prepared: TemplatePrepared };

export interface CampaignCheck {
  readonly template: TemplateWish;
  /** Goes before the template's own. */
  readonly from?: string;
  /** What recipients unsubscribe from. */
  readonly listName?: string;
  /** What the lane and the configuration offer to recipients who want no more; absent: nothing is said of it. */
  readonly unsubscribe?: UnsubscribeOffer;
  /** A person's reason to send without a way to unsubscribe. */
  readonly noUnsubscribe?: string;
}

export interface CampaignChecked {
  readonly kind: "checked";
  /** As it is stored. */
  readonly template: TemplateParts;
  readonly parsed: ParsedTemplate;
}

/** `columns`: of the list that it goes to, by name. */
export async function checkCampaign(
  pool: Pool,
  wish: CampaignCheck,
  columns: readonly string[],
): Promise<CampaignChecked | CampaignRefused> {
  return checkUnsubscribe(wish) ?? (await checkTemplateFits(pool, wish, columns));
}

/** The part of it that concerns the template. */
export async function checkTemplateFits(
  pool: Pool,
  wish: CampaignCheck,
  columns: readonly string[],
): Promise<CampaignChecked | CampaignRefused> {
  const loaded = await loadTemplate(pool, wish.template);
  if (loaded.kind === "refused") return loaded;
  if (loaded.kind === "bad") return refused("template", loaded.problems.map(printProblem));
  const hole = checkUnsubscribeUrl(wish, loaded.template, columns);
  if (hole !== undefined) return hole;
  const problems = checkTemplate(loaded.template, [...columns, UNSUBSCRIBE_URL]);
  if (problems.length > 0) return refused("template", problems.map(printProblem));
  const source = { ...loaded.source, ...(wish.from === undefined ? {} : { from: wish.from }) };
  return { kind: "checked", template: { source, octets: loaded.octets }, parsed: loaded.template };
}

// ---- unsubscribing ---------------------------------------------------------------------------------------------------

function checkUnsubscribe({ unsubscribe, noUnsubscribe, listName }: CampaignCheck): CampaignRefused | undefined {
  if (listName !== undefined && !isListName(listName)) {
    return refused("unsubscribe", [`"${listName}" is not the name of a list: give ${LIST_NAME_EXPECTED}`]);
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
  { unsubscribe, noUnsubscribe }: CampaignCheck,
  template: ParsedTemplate,
  columns: readonly string[],
): CampaignRefused | undefined {
  const hasAddress = unsubscribe === "offered" && noUnsubscribe === undefined;
  if (hasAddress || columns.includes(UNSUBSCRIBE_URL)) return undefined;
  const first = templateVariables(template).find(({ name }) => name === UNSUBSCRIBE_URL);
  if (first === undefined) return undefined;
  const why = noUnsubscribe === undefined ? (unsubscribe ?? "missing") : "told";
  return refused("template", [
    printProblem({ ...first, message: `there is no ${UNSUBSCRIBE_URL}: ${WHY_NO_URL[why]}` }),
  ]);
}

const WHY_NO_URL = {
  told: "--no-unsubscribe was given",
  offered: "",
  not_bulk: "only mail of a bulk lane has one",
  kept_here: "set public_url; to try it on this machine, http://127.0.0.1:2580",
  missing: "set public_url",
} as const;

// ---- the template ----------------------------------------------------------------------------------------------------

async function loadTemplate(pool: Pool, wish: TemplateWish): Promise<TemplatePrepared | CampaignRefused> {
  if ("prepared" in wish) return wish.prepared;
  if ("pushed" in wish)
    return (await loadPushed(pool, wish.pushed)) ?? noTemplate(`there is no template ${wish.pushed}`);
  const { named } = wish;
  const isThere = statSync(named, { throwIfNoEntry: false }) !== undefined;
  if (isThere || parseTemplateId(named) === undefined) return await loadTemplateFolder(named);
  const pushed = await loadPushed(pool, named);
  return pushed ?? noTemplate(`there is no folder ${named}, and no pushed template of that name`);
}

async function loadPushed(pool: Pool, given: string): Promise<TemplatePrepared | undefined> {
  const id = parseTemplateId(given);
  const pushed = id === undefined ? undefined : await readTemplateParts(pool, id);
  return pushed === undefined ? undefined : prepareTemplate(pushed.source, NO_PLACES, pushed.octets);
}

function noTemplate(problem: string): CampaignRefused {
  return refused("template", [problem]);
}

// ---- the list --------------------------------------------------------------------------------------------------------

/** Of a file, by its header. */
export async function readColumns(
  file: string,
  types: Readonly<Record<string, ColumnType>> = {},
): Promise<readonly ListColumn[] | CampaignRefused> {
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

export function isRegularFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}

export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}

/** Where the template gives no default. */
export async function checkCells(file: string, template: ParsedTemplate): Promise<CampaignRefused | undefined> {
  const required = requiredVariables(template);
  const empty = await findEmptyCells(file, required);
  if (empty.rows === 0) return undefined;
  const problems = [
    `${empty.rows} rows of the list have an empty cell that the template needs`,
    ...empty.first.map(({ line, address, columns }) => `line ${line}, ${address}: ${columns.join(", ")} is empty`),
    `give a default in the template, such as {{ ${empty.first[0]!.columns[0]!} | default: "friend" }}, fill the cells, ` +
      "or go on with --allow-empty",
  ];
  return { ...refused("empty_cells", problems), empty };
}
