// `postlane list …`: the commands with their options, as in program.ts.

import type { Command } from "commander";
import { collect, group, leaf, ROWS_DEFAULT, wholeNumber, type End } from "./command-builder.ts";
import type { CommonOptions } from "./output.ts";
import type { ListImportOptions, ListShowOptions } from "./run-list.ts";

export const COLUMN_WORDS =
  "The type of a column whose cells are no texts: number, date or json, as in `seats=number`; may be repeated. A column `locale` or `time_zone` is known by its name.";
/** A site has few, and looks for one of them. */
const LISTS_DEFAULT = 1000;

export function addList(program: Command, end: End): void {
  const list = group(program, "list", "Lists that are imported once and kept, for campaigns to go to.");
  leaf(
    list,
    "import",
    "Import a CSV file into a kept list, which is made if there is none. Who is on the list already gets the file's data and is counted as double; nobody is taken off. Columns that are new are added. Bad rows go into the rejects file and stop nothing; an import that was killed is taken up when the same file comes again.",
    [
      "postlane list import members members.csv",
      "postlane list import members members.csv --column points=number --column joined=date --rejects bad.csv",
    ],
  )
    .argument("<name>", "Of the list: 1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`.")
    .argument("<file>", "A CSV file with a header row; delimiter and byte order mark are found out.")
    .option("--column <name=type>", COLUMN_WORDS, collect)
    .option(
      "--rejects <file>",
      "Where rows that cannot be mailed are written, with line and reason; otherwise beside the file.",
    )
    .action(async (name: string, file: string, options: ListImportOptions) => {
      const { runListImport } = await import("./run-list.ts");
      end(await runListImport(name, file, options));
    });
  leaf(list, "list", "List the kept lists by name.", ["postlane list list", "postlane list list --json"])
    .option("--limit <rows>", "How many.", wholeNumber, LISTS_DEFAULT)
    .action(async (options: CommonOptions & { limit: number }) => {
      const { runListList } = await import("./run-list.ts");
      end(await runListList(options));
    });
  leaf(
    list,
    "show",
    "Show a kept list: its columns with their types, how many are on it, its imports, and how many are in each time zone if there is such a column.",
    ["postlane list show members", "postlane list show members --json"],
  )
    .argument("<name>", "Of the list.")
    .option("--limit <rows>", "How many imports, the newest first.", wholeNumber, ROWS_DEFAULT)
    .action(async (name: string, options: ListShowOptions) => {
      const { runListShow } = await import("./run-list.ts");
      end(await runListShow(name, options));
    });
}
