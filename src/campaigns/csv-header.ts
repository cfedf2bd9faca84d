// The header row of a list: which delimiter, which columns, and which of them holds the address. Everything that is
// wrong with a header is an error before the first row, and the error says what was found.

/** Delimiters that spreadsheets and databases write, the commonest first. */
export const DELIMITERS = [",", ";", "\t", "|"] as const;
/** More columns than any list of people has; fewer than would slow every merge. */
export const columnsMax = 200;

/** Names of the column with the address, in the order in which they are looked for. */
const ADDRESS_COLUMNS = ["email", "email_address", "e_mail", "e_mail_address", "mail"] as const;

export interface CsvColumn {
  /** As templates name it: `first_name` for "First Name". */
  readonly name: string;
  /** As the file names it, trimmed. */
  readonly original: string;
}

export interface CsvHeader {
  readonly columns: readonly CsvColumn[];
  /** Index of the column with the address. */
  readonly addressColumn: number;
}

/** The list cannot be read at all; single bad rows are rejects instead. */
export class CsvHeaderError extends Error {
  readonly code = "list_header";
}

export function readHeader(fields: readonly string[]): CsvHeader {
  const columns = fields.map((field) => ({ name: columnName(field), original: field.trim() }));
  refuseTooMany(columns);
  refuseEmpty(columns);
  refuseDuplicates(columns);
  return { columns, addressColumn: addressColumnOf(columns) };
}

/** Words in lower case, joined by underscores, in any script: what Liquid takes for the name of a variable. */
export function columnName(original: string): string {
  const name = original
    .normalize("NFC")
    .replaceAll(/(?<=\p{Ll}|\p{N})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/gu, "_")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{M}\p{N}]+/gu, "_")
    .replaceAll(/^_+|_+$/g, "");
  if (TIME_ZONE_COLUMNS.includes(name)) return "time_zone";
  return /^\p{N}/u.test(name) ? `_${name}` : name;
}

/** As it is called elsewhere, too; templates and filters have one name for it. */
const TIME_ZONE_COLUMNS: readonly string[] = ["timezone", "tz"];

function refuseTooMany(columns: readonly CsvColumn[]): void {
  if (columns.length > columnsMax) {
    throw new CsvHeaderError(`the list has ${columns.length} columns; at most ${columnsMax} are possible`);
  }
}

function refuseEmpty(columns: readonly CsvColumn[]): void {
  const at = columns.findIndex(({ name }) => name === "");
  if (at === -1) return;
  throw new CsvHeaderError(
    `column ${at + 1} of the list has no name that a template could use (${JSON.stringify(columns[at]!.original)}); ` +
      `columns found: ${listColumns(columns)}`,
  );
}

function refuseDuplicates(columns: readonly CsvColumn[]): void {
  const seen = new Map<string, CsvColumn>();
  for (const column of columns) {
    const first = seen.get(column.name);
    if (first !== undefined) {
      throw new CsvHeaderError(
        `two columns of the list are named ${column.name}: "${first.original}" and "${column.original}"`,
      );
    }
    seen.set(column.name, column);
  }
}

function addressColumnOf(columns: readonly CsvColumn[]): number {
  const at = findAddressColumn(columns.map(({ name }) => name));
  if (at !== -1) return at;
  throw new CsvHeaderError(
    `no column of the list holds the address: name it "email"; columns found: ${listColumns(columns)}`,
  );
}

export function findAddressColumn(names: readonly string[]): number {
  return names.indexOf(ADDRESS_COLUMNS.find((wanted) => names.includes(wanted)) ?? "");
}

function listColumns(columns: readonly CsvColumn[]): string {
  return columns.map(({ original }) => (original === "" ? "(no name)" : original)).join(", ");
}
