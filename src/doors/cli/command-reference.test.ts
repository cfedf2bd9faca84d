// docs/reference/cli.md is made from the definitions of the commands. This test keeps both the same;
// `POSTLANE_WRITE_REFERENCE=1 npm test -- command-reference` writes the page anew.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import type { Command } from "commander";
import { createProgram } from "./program.ts";

const PAGE = path.resolve(import.meta.dirname, "../../../../docs/reference/cli.md");

test("docs/reference/cli.md is what the commands say of themselves", () => {
  const page = referencePage(createProgram(() => {}));
  if (process.env["POSTLANE_WRITE_REFERENCE"] === "1") writeFileSync(PAGE, page);
  const hint = "write it with POSTLANE_WRITE_REFERENCE=1 npm test -- command-reference";
  assert.equal(readFileSync(PAGE, "utf8"), page, hint);
});

test("every command has a description, an example of itself, --json and --config", () => {
  const commands = leavesOf(createProgram(() => {}));
  assert.ok(commands.length >= 23, `only ${commands.length} commands`);
  for (const { name, command } of commands) {
    assert.ok(command.description().length > 20, name);
    assert.ok(
      examplesOf(command).every((example) => example.includes(name)) && examplesOf(command).length > 0,
      `${name} has no example of itself`,
    );
    const flags = command.options.map((option) => option.long);
    assert.ok(flags.includes("--json") && flags.includes("--config"), name);
    for (const option of command.options) assert.ok(option.description.length > 5, `${name} ${option.flags}`);
  }
});

interface Leaf {
  readonly name: string;
  readonly command: Command;
}

function leavesOf(program: Command): readonly Leaf[] {
  const walk = (command: Command, name: string): readonly Leaf[] => [
    ...(isLeaf(command) ? [{ name, command }] : []),
    ...command.commands.flatMap((child) => walk(child, `${name} ${child.name()}`)),
  ];
  return walk(program, program.name());
}

/** A group has no --json; `doctor` does something by itself and has commands below it. */
function isLeaf(command: Command): boolean {
  return command.commands.length === 0 || command.options.some(({ long }) => long === "--json");
}

function referencePage(program: Command): string {
  return [INTRODUCTION, ...leavesOf(program).map(describe)].join("\n");
}

const INTRODUCTION = `# The command line

Made from the commands' own definitions; a test keeps this page in step with them.

Exit codes: 0 done, 1 failed or refused, 2 called wrongly. An error is one sentence and what to do, on standard error;
with \`--json\` it is \`{"error":{"code","message"}}\` on standard output. \`POSTLANE_DEBUG=1\` adds where it came from. With
\`--json\` the answer is one JSON document on one line (with \`--watch\`, and by \`up\`, one line after the other). Progress
and hints go to standard error.

A command that needs the database uses the one of \`DATABASE_URL\`, or the embedded one of \`data_dir\`. When nobody runs the
embedded one, it is started for the command and stopped afterwards.

Every command takes \`--config <file>\`, \`--json\` and \`--help\`; they are left out below.
`;

const EVERYWHERE = ["--json", "--config", "--help"];

function describe({ name, command }: Leaf): string {
  const options = command.options.filter((option) => !EVERYWHERE.includes(option.long ?? ""));
  const usage = `${name} ${command.usage()}`.trim();
  return [
    `## ${name}`,
    "",
    command.description(),
    "",
    "```",
    usage,
    "```",
    "",
    ...rows(
      "argument",
      command.registeredArguments.map((argument) => [argumentName(argument), argument.description]),
    ),
    ...rows(
      "option",
      options.map((option) => [
        option.flags,
        `${option.description}${defaultOf(option.mandatory, option.defaultValue)}`,
      ]),
    ),
    "```sh",
    ...examplesOf(command),
    "```",
    "",
  ].join("\n");
}

function argumentName(argument: Command["registeredArguments"][number]): string {
  const words = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${words}>` : `[${words}]`;
}

function defaultOf(isMandatory: boolean, value: unknown): string {
  if (isMandatory) return " Required.";
  return typeof value === "string" || typeof value === "number" ? ` Default: ${value}.` : "";
}

function rows(title: string, cells: readonly (readonly [string, string])[]): readonly string[] {
  if (cells.length === 0) return [];
  return [`| ${title} | |`, "|---|---|", ...cells.map(([name, what]) => `| \`${name}\` | ${what} |`), ""];
}

/** As the help prints them: what follows its last heading. */
function examplesOf(command: Command): readonly string[] {
  let help = "";
  command.configureOutput({ writeOut: (part) => void (help += part) });
  command.outputHelp();
  const [, examples = ""] = /\nExamples?:\n([\s\S]*)$/.exec(help) ?? [];
  return examples
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}
