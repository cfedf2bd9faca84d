// `postlane list import|list|show`: kept lists.

import { importKeptList, type KeptListImported } from "../../campaigns/keep-list.ts";
import {
  findList,
  lastRecipient,
  listImports,
  listLists,
  type ListImportRow,
  type ListRow,
} from "../../campaigns/list-store.ts";
import { prepareRejects } from "../../campaigns/rejects-file.ts";
import { zonesOf } from "../../campaigns/wave-store.ts";
import { readColumnTypes } from "./read-column-option.ts";
import { CommandFailure, EXIT_DONE } from "./command-failure.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { countOf, DASH, harmless, number, printCount, printTable, printTime, text } from "./printing.ts";
import { createProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { tellRefused } from "./tell-refused.ts";
import { withDatabase } from "./with-database.ts";

export interface ListImportOptions extends CommonOptions {
  readonly column?: readonly string[];
  readonly rejects?: string;
}

export async function runListImport(name: string, file: string, options: ListImportOptions): Promise<number> {
  const types = readColumnTypes(options.column);
  const config = readConfig(options);
  const output = createOutput(options);
  const rejects = await prepareRejects(file, options.rejects);
  if ("code" in rejects) return tellRefused(rejects, NOTHING_IMPORTED, options);
  try {
    const progress = createProgress("imported", "row", output);
    const answer = await withDatabase(config, (pool) =>
      importKeptList(pool, {
        name,
        file,
        types,
        onRejected: (rows) => rejects.add(rows),
        onProgress: ({ rows, bytesRead, bytesTotal }) => progress.update(rows, bytesRead / bytesTotal),
      }),
    );
    progress.end();
    if (answer.kind === "refused") return tellRefused(answer, NOTHING_IMPORTED, options);
    tellImported(answer, await rejects.finish(), output);
    return EXIT_DONE;
  } finally {
    await rejects.abandon();
  }
}

const NOTHING_IMPORTED = "Nothing was imported:";

function tellImported(imported: KeptListImported, rejectsFile: string | undefined, output: Output): void {
  const { name, isNew, rows, accepted, doubled, rejected } = imported;
  output.answer({ name, is_new: isNew, rows, added: accepted, doubled, rejected, rejects_file: rejectsFile ?? null });
  output.print(
    `${countOf(accepted, "recipient")} added to ${isNew ? "the new " : ""}list ${name} from ${countOf(rows, "row")}`,
  );
  if (doubled > 0) output.print(`  ${countOf(doubled, "row")} of people who were on it, or twice in the file`);
  if (rejected > 0)
    output.print(
      `  ${countOf(rejected, "row")} rejected, each with its reason in ${rejectsFile ?? "the rejects file"}`,
    );
}

// ---- list and show ---------------------------------------------------------------------------------------------------

export async function runListList(options: CommonOptions & { readonly limit: number }): Promise<number> {
  const output = createOutput(options);
  const lists = await withDatabase(readConfig(options), (pool) => listLists(pool, "", options.limit));
  output.answer({ lists: lists.map(shapeList) });
  if (lists.length === 0) output.print("there is no list yet; `postlane list import NAME FILE` makes one");
  else for (const line of printTable(LIST_COLUMNS, lists.map(printRow))) output.print(line);
  return EXIT_DONE;
}

const LIST_COLUMNS = [text("list"), number("recipients"), text("columns"), text("created")];

function printRow({ name, recipients, columns, created_at }: ListRow): readonly string[] {
  const names = columns.map((column) => column.name).join(", ");
  return [name ?? DASH, printCount(recipients), names, printTime(created_at.toISOString())];
}

function shapeList({ name, recipients, doubled, rejected, columns, created_at }: ListRow) {
  const shaped = columns.map((column) => ({ name: column.name, type: column.type, is_address: column.isAddress }));
  return { name, recipients, doubled, rejected, columns: shaped, created_at: created_at.toISOString() };
}

export interface ListShowOptions extends CommonOptions {
  readonly limit: number;
}

export async function runListShow(name: string, options: ListShowOptions): Promise<number> {
  const output = createOutput(options);
  const { list, imports, zones } = await withDatabase(readConfig(options), async (pool) => {
    const found = await findList(pool, name);
    if (found === undefined) {
      const message = `There is no list "${harmless(name)}". \`postlane list list\` shows them.`;
      throw new CommandFailure("list_not_found", message);
    }
    const hasZones = found.columns.some(({ type }) => type === "time_zone");
    return {
      list: found,
      imports: await listImports(pool, found.id, options.limit),
      zones: hasZones ? await zonesOf(pool, found.id, 0, await lastRecipient(pool, found.id)) : [],
    };
  });
  output.answer({ ...shapeList(list), imports: imports.map(shapeImport), time_zones: zones });
  const { recipients, doubled, rejected } = list;
  output.print(
    `${name}: ${countOf(recipients, "recipient")}; ${printCount(doubled)} doubled, ${printCount(rejected)} rejected`,
  );
  for (const line of ["", ...printTable([text("column"), text("type")], list.columns.map(printColumn))])
    output.print(line);
  for (const line of ["", ...printTable(IMPORT_COLUMNS, imports.map(printImport))]) output.print(line);
  if (zones.length === 0) return EXIT_DONE;
  const rows = zones.map(({ time_zone, rows: n }) => [time_zone ?? DASH, printCount(n)]);
  for (const line of ["", ...printTable([text("time zone"), number("recipients")], rows)]) output.print(line);
  return EXIT_DONE;
}

function printColumn({ name, type, isAddress }: ListRow["columns"][number]): readonly string[] {
  return [name, isAddress ? "address" : type];
}

const IMPORT_COLUMNS = [
  text("imported from"),
  number("added"),
  number("doubled"),
  number("rejected"),
  text("begun"),
  text("finished"),
];

function printImport(row: ListImportRow): readonly string[] {
  const counts = [row.added, row.doubled, row.rejected].map(printCount);
  const { source, begun_at, finished_at } = shapeImport(row);
  return [source, ...counts, printTime(begun_at), printTime(finished_at)];
}

function shapeImport({ source, added, doubled, rejected, begun_at, finished_at }: ListImportRow) {
  const finished = finished_at?.toISOString() ?? null;
  return { source, added, doubled, rejected, begun_at: begun_at.toISOString(), finished_at: finished };
}
