// Cells of the CSV files that we write, by RFC 4180. A spreadsheet that opens such a file must not take a cell for a formula:
// one that begins like a formula gets an apostrophe in front.

/** `=`, `+`, `-` and `@` begin a formula in spreadsheets, and so do a tab and a CR. */
const LIKE_A_FORMULA = /^[=+\-@\t\r]/;

export function csvLine(cells: readonly string[]): string {
  return `${cells.map(csvCell).join(",")}\r\n`;
}

function csvCell(text: string): string {
  const safe = harmlessCell(text);
  return /[",\r\n]/.test(safe) ? quotedCell(safe) : safe;
}

export function quotedCell(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

export function harmlessCell(text: string): string {
  return LIKE_A_FORMULA.test(text) ? `'${text}` : text;
}

/** As it was before `harmlessCell`. */
export function uncoveredCell(cell: string): string {
  return cell.startsWith("'") && LIKE_A_FORMULA.test(cell.slice(1)) ? cell.slice(1) : cell;
}
