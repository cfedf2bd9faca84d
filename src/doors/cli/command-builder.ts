// How commands are defined: groups, leaves with their examples, and the values of options.

import { InvalidArgumentError, type Command } from "commander";

/** Rows of a list that nobody asked more of. */
export const ROWS_DEFAULT = 20;

/** What ends the program, with its exit code. */
export type End = (exitCode: number) => void;

export function group(program: Command, name: string, what: string): Command {
  return program.command(name).description(what).helpOption("-h, --help", "Print this help.").helpCommand(false);
}

export function leaf(parent: Command, name: string, what: string, examples: readonly string[]): Command {
  const command = parent
    .command(name)
    .description(what)
    .summary(/^[^.:]+/.exec(what)?.[0] ?? what)
    .option("--json", "Print one JSON document for programs.")
    .option("--config <file>", "The configuration; otherwise postlane.yaml in the working directory, if there is one.")
    .helpOption("-h, --help", "Print this help.");
  return withExamples(command, examples);
}

export function sayOfConfig(command: Command, what: string): void {
  command.options.find(({ long }) => long === "--config")!.description = what;
}

export function withExamples(command: Command, examples: readonly string[]): Command {
  const title = examples.length === 1 ? "Example:" : "Examples:";
  return command.addHelpText("after", ["", title, ...examples.map((example) => `  ${example}`)].join("\n"));
}

export function collect(value: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), value];
}

export function wholeNumber(value: string): number {
  if (!/^[1-9]\d{0,6}$/.test(value)) throw new InvalidArgumentError("Expected a whole number from 1 to 9999999.");
  return Number(value);
}
