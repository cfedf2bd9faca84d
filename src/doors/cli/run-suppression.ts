// `postlane suppression add|remove|list|import|export|erase`.

import { createReadStream, statSync } from "node:fs";
import path from "node:path";
import { once } from "node:events";
import type { Pool } from "pg";
import type { Mac } from "../../mail/token-octets.ts";
import { systemClock } from "../../platform/clock.ts";
import { createMac } from "../../platform/mac.ts";
import { readSuppressionKey } from "../../postgres/secret-store.ts";
import { EXPORT_HEADER, exportLine } from "../../suppression/export-suppressions.ts";
import { importSuppressions } from "../../suppression/import-suppressions.ts";
import { isReason, readSuppression, scopeOf, suppressedAddressProblem } from "../../suppression/read-suppression.ts";
import { parsePlace, printPlace, shapeSuppression } from "../../suppression/shape-suppression.ts";
import { addStrikes } from "../../suppression/strike-store.ts";
import {
  addSuppressions,
  eraseAddress,
  findSuppressions,
  readAllSuppressions,
  removeSuppressions,
  searchSuppressions,
  type SuppressionRow,
} from "../../suppression/suppression-store.ts";
import { SUPPRESSION_REASONS, type SuppressionScope } from "../../suppression/suppression.ts";
import { CommandFailure, EXIT_DONE, EXIT_FAILED, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { countOf, DASH, harmless, printTable, printTime, text } from "./printing.ts";
import { createProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { withDatabase } from "./with-database.ts";

interface ScopeOptions extends CommonOptions {
  readonly scope?: string;
  readonly list?: string;
}

export interface SuppressionAddOptions extends ScopeOptions {
  readonly reason: string;
  readonly days?: number;
}

interface Here {
  readonly pool: Pool;
  readonly mac: Mac;
}

async function withSuppressions<Result>(
  options: CommonOptions,
  work: (here: Here) => Promise<Result>,
): Promise<Result> {
  return await withDatabase(readConfig(options), async (pool) =>
    work({ pool, mac: createMac(await readSuppressionKey(pool)) }),
  );
}

/** A complaint without a scope is a strike, as one that comes by itself. */
export async function runSuppressionAdd(address: string, options: SuppressionAddOptions): Promise<number> {
  const { scope, list, reason, days } = options;
  const isStrike = reason === "complaint" && scope === undefined && days === undefined && !address.startsWith("@");
  const words = { address, scope: scope ?? "everything", list, reason, source: SOURCE, days };
  const read = readSuppression(words);
  if (read.kind === "bad") throw misused(`${read.field} ${harmless(String(words[read.field]))}: ${read.problem}.`);
  const holding = await withSuppressions(options, async ({ pool, mac }) => {
    if (isStrike) await addStrikes(pool, [{ address, reason, source: SOURCE }]);
    else await addSuppressions(pool, mac, [read.suppression]);
    return await findSuppressions(pool, mac, address);
  });
  tell(holding, options);
  return EXIT_DONE;
}

const SOURCE = "cli";

export async function runSuppressionRemove(address: string, options: ScopeOptions): Promise<number> {
  requireAddress(address);
  const scope = options.scope === undefined && options.list === undefined ? undefined : readScope(options);
  const removed = await withSuppressions(options, ({ pool, mac }) => removeSuppressions(pool, mac, address, scope));
  if (removed === 0) throw notSuppressed(address);
  const output = createOutput(options);
  output.answer({ removed });
  output.print(`${countOf(removed, "suppression")} removed: mail goes to ${harmless(address)} again`);
  return EXIT_DONE;
}

export async function runSuppressionErase(address: string, options: CommonOptions): Promise<number> {
  requireAddress(address);
  const erased = await withSuppressions(options, ({ pool, mac }) => eraseAddress(pool, mac, address));
  if (erased === 0) throw notSuppressed(address);
  const output = createOutput(options);
  output.answer({ erased });
  output.print(`${countOf(erased, "suppression")} without the address now: it is known by its hash alone, and holds`);
  return EXIT_DONE;
}

function requireAddress(address: string): void {
  const problem = suppressedAddressProblem(address);
  if (problem !== undefined) throw misused(`"${harmless(address)}" is no address and no @domain: ${problem}.`);
}

function readScope({ scope, list }: ScopeOptions): SuppressionScope {
  const read = scopeOf(scope ?? "list", list);
  if (typeof read === "string") throw misused(`--scope: ${read}.`);
  return read;
}

function notSuppressed(address: string): CommandFailure {
  const message = `${harmless(address)} is not on the suppression list so. \`postlane suppression list\` shows what is.`;
  return new CommandFailure("not_suppressed", message);
}

// ---- list -----------------------------------------------------------------------------------------------------------

export interface SuppressionListOptions extends CommonOptions {
  readonly domain?: string;
  readonly reason?: string;
  readonly list?: string;
  readonly since?: string;
  readonly after?: string;
  readonly limit: number;
}

export async function runSuppressionList(
  address: string | undefined,
  options: SuppressionListOptions,
): Promise<number> {
  const output = createOutput(options);
  if (address !== undefined) {
    requireAddress(address);
    const rows = await withSuppressions(options, ({ pool, mac }) => findSuppressions(pool, mac, address));
    tell(rows, options);
    return rows.length === 0 ? EXIT_FAILED : EXIT_DONE;
  }
  const search = { ...readSearch(options), limit: options.limit + 1 };
  const found = await withSuppressions(options, ({ pool }) => searchSuppressions(pool, search));
  const rows = found.slice(0, options.limit);
  const next = found.length > rows.length ? printPlace(rows.at(-1)!) : null;
  tell(rows, options, { next });
  if (next !== null) output.note(`more: --after ${next}`);
  return EXIT_DONE;
}

function readSearch({ domain, reason, list, since, after }: SuppressionListOptions) {
  if (reason !== undefined && !isReason(reason)) {
    throw misused(`There is no reason "${harmless(reason)}". Reasons: ${SUPPRESSION_REASONS.join(", ")}.`);
  }
  const place = after === undefined ? undefined : parsePlace(after);
  if (after !== undefined && place === undefined) throw misused("--after is no place of an earlier page.");
  return {
    domain: domain?.replace(/^@/, ""),
    reason,
    list,
    since: since === undefined ? undefined : readTime(since),
    after: place,
  };
}

function readTime(given: string): Date {
  const isTime = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2}))?$/.test(given);
  const time = new Date(isTime ? given : Number.NaN);
  if (!Number.isNaN(time.getTime())) return time;
  throw misused(`"${harmless(given)}" is no time: give a day, 2027-01-31, or ISO 8601 with a zone.`);
}

const COLUMNS = ["address", "scope", "reason", "source", "since", "ends"].map(text);

function tell(rows: readonly SuppressionRow[], options: CommonOptions, beside: object = {}): void {
  const output = createOutput(options);
  output.answer({ suppressions: rows.map(shapeSuppression), ...beside });
  if (rows.length === 0) output.print("nobody is suppressed so");
  else for (const line of printTable(COLUMNS, rows.map(printSuppression))) output.print(line);
}

function printSuppression(row: SuppressionRow): readonly string[] {
  return [
    row.address ?? `erased (${row.hash.slice(0, 12)})`,
    row.list === "" ? row.scope : `list ${row.list}`,
    row.reason,
    row.source,
    printTime(row.created_at.toISOString()),
    row.expires_at === null ? DASH : printTime(row.expires_at.toISOString()),
  ];
}

// ---- import and export ----------------------------------------------------------------------------------------------

export interface SuppressionImportOptions extends SuppressionAddOptions {
  readonly scope: string;
}

/** Bad rows that a person is shown. */
const REJECTS_SHOWN = 20;

export async function runSuppressionImport(file: string, options: SuppressionImportOptions): Promise<number> {
  const { scope, list, reason, days } = options;
  const source = path.basename(file).slice(0, SOURCE_CHARS_MAX);
  const wrong = readSuppression({ address: "any@example.com", scope, list, reason, source, days });
  if (wrong.kind === "bad") throw misused(`--${wrong.field}: ${wrong.problem}.`);
  const bytes = statSync(file).size;
  const output = createOutput(options);
  const progress = createProgress("read", "row", output);
  const { added, rejected, rejects } = await withSuppressions(options, (here) =>
    importSuppressions(here, createReadStream(file), { scope, list, reason, source, days }, (rows, read) =>
      progress.update(rows, read / bytes),
    ),
  );
  progress.end();
  output.answer({ added, rejected, rejects });
  output.print(`${countOf(added, "row")} on the suppression list, ${countOf(rejected, "row")} rejected`);
  for (const { line, reason: why } of rejects.slice(0, REJECTS_SHOWN)) output.note(`line ${line}: ${harmless(why)}`);
  if (rejected > REJECTS_SHOWN) output.note(`and ${countOf(rejected - REJECTS_SHOWN, "more line")}`);
  return rejected > 0 && added === 0 ? EXIT_FAILED : EXIT_DONE;
}

const SOURCE_CHARS_MAX = 100;
/** Rows that are read at once. */
const EXPORT_ROWS_MAX = 5000;

export async function runSuppressionExport(options: CommonOptions): Promise<number> {
  const { isJson } = createOutput(options);
  await withSuppressions(options, async ({ pool }) => {
    if (!isJson) await write(EXPORT_HEADER);
    for await (const rows of readAllSuppressions(pool, EXPORT_ROWS_MAX)) {
      const line = (row: SuppressionRow) =>
        isJson ? `${JSON.stringify(shapeSuppression(row))}\n` : exportLine(row, systemClock.wallMs());
      await write(rows.map(line).join(""));
    }
  });
  return EXIT_DONE;
}

async function write(lines: string): Promise<void> {
  if (!process.stdout.write(lines)) await once(process.stdout, "drain");
}
