// `postlane template push|check|list|show`. A template is checked in its folder; only what is whole is pushed.

import { open } from "node:fs/promises";
import path from "node:path";
import { inTransaction } from "../../postgres/transaction.ts";
import { checkTemplate } from "../../templates/check-template.ts";
import {
  printProblem,
  TemplateRefused,
  type TemplateAttachment,
  type TemplateProblem,
  type TemplateSource,
} from "../../templates/compiled-template.ts";
import { fillTemplate, openTemplate, tryTemplate, type FilledTemplate } from "../../templates/fill-template.ts";
import { loadTemplateFolder } from "../../templates/load-template-folder.ts";
import type { TemplatePrepared } from "../../templates/prepare-template.ts";
import {
  isTemplateName,
  parseTemplateId,
  printTemplateId,
  type TemplateId,
  TEMPLATE_NAME_WORDS,
} from "../../templates/template-id.ts";
import { listTemplates, pushVersionOnce, readTemplate, type TemplateRow } from "../../templates/template-store.ts";
import { CommandFailure, EXIT_DONE, EXIT_FAILED, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { countOf, DASH, harmless, number, printTable, printTime, text } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { withDatabase } from "./with-database.ts";

interface FolderOptions extends CommonOptions {
  readonly partials?: string;
}

export interface TemplatePushOptions extends FolderOptions {
  readonly name?: string;
}

export async function runTemplatePush(dir: string, options: TemplatePushOptions): Promise<number> {
  const name = options.name ?? path.basename(path.resolve(dir));
  if (!isTemplateName(name))
    throw misused(`"${harmless(name)}" cannot be a name: ${TEMPLATE_NAME_WORDS}. Give --name.`);
  const config = readConfig(options);
  const loaded = await load(dir, options);
  if (loaded.kind === "bad") return tellProblems(loaded.problems, "Nothing was pushed:", options);
  const { isNew, ...row } = await withDatabase(config, (pool) =>
    inTransaction(pool, (client) => pushVersionOnce(client, name, loaded)),
  );
  const output = createOutput(options);
  output.answer({ ...shapeVersion(row), is_new: isNew });
  output.print(
    isNew
      ? `${printTemplateId(row)} is pushed`
      : `${printTemplateId(row)} has the same texts and attachments: nothing to push`,
  );
  return EXIT_DONE;
}

export interface TemplateCheckOptions extends FolderOptions {
  readonly variables?: string;
}

export async function runTemplateCheck(dir: string, options: TemplateCheckOptions): Promise<number> {
  const loaded = await load(dir, options);
  if (loaded.kind === "bad") return tellProblems(loaded.problems, `${dir} has problems:`, options);
  const variables = options.variables === undefined ? undefined : await readVariables(options.variables);
  const problems = variables === undefined ? [] : problemsWith(loaded.template, variables);
  if (problems.length > 0) return tellProblems(problems, `${dir} has problems with these variables:`, options);
  const output = createOutput(options);
  output.answer({ problems: [], required: loaded.required });
  const { required } = loaded;
  output.print(`${dir} is a template; an email must bring ${required.length === 0 ? "nothing" : required.join(", ")}`);
  return EXIT_DONE;
}

function load(dir: string, { partials }: FolderOptions): Promise<TemplatePrepared> {
  return loadTemplateFolder(dir, partials === undefined ? {} : { sharedDir: partials });
}

type Loaded = Extract<TemplatePrepared, { readonly kind: "template" }>;

/** What filling in says; of a variable that is missing also which one was probably meant. */
function problemsWith(template: Loaded["template"], variables: Readonly<Record<string, unknown>>) {
  const missing = checkTemplate(template, Object.keys(variables));
  const hints = new Map(
    missing.map(({ variable, message }) => [variable, /; did you mean .*/.exec(message)?.[0] ?? ""]),
  );
  return tryTemplate(template, variables).map((problem) => {
    const [, root] = /^undefined variable: ([^.[]+)/.exec(problem.message) ?? [];
    return { ...problem, message: problem.message + (hints.get(root) ?? "") };
  });
}

function tellProblems(problems: readonly TemplateProblem[], message: string, options: CommonOptions): number {
  if (options.json === true) createOutput(options).answer({ error: { code: "template", message, problems } });
  else process.stderr.write(`postlane: ${[message, ...problems.map(printProblem).map(harmless)].join("\n  ")}\n`);
  return EXIT_FAILED;
}

const VARIABLES_BYTES_MAX = 1_000_000;

async function readVariables(file: string): Promise<Readonly<Record<string, unknown>>> {
  const value = parseJson(await readText(file), file);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new CommandFailure("variables", `${file} is no JSON object, such as {"name": "Ann"}.`);
}

async function readText(file: string): Promise<string> {
  try {
    const handle = await open(file);
    try {
      const { size } = await handle.stat();
      if (size > VARIABLES_BYTES_MAX)
        throw new CommandFailure("variables", `${file} has more than ${VARIABLES_BYTES_MAX} bytes.`);
      return await handle.readFile("utf8");
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandFailure("variables", `${file} cannot be read: ${reason}`);
  }
}

function parseJson(given: string, file: string): unknown {
  try {
    return JSON.parse(given);
  } catch (error) {
    throw new CommandFailure(
      "variables",
      `${file} is no JSON: ${error instanceof Error ? harmless(error.message) : ""}`,
    );
  }
}

// ---- list and show ---------------------------------------------------------------------------------------------------

export async function runTemplateList(options: CommonOptions & { readonly limit: number }): Promise<number> {
  const output = createOutput(options);
  const rows = await withDatabase(readConfig(options), (pool) => listTemplates(pool, "", options.limit));
  output.answer({ templates: rows.map(shapeVersion) });
  if (rows.length === 0) output.print("there is no template; `postlane template push DIR` makes one");
  else for (const line of printTable(COLUMNS, rows.map(printRow))) output.print(line);
  return EXIT_DONE;
}

const COLUMNS = [text("template"), number("version"), text("pushed"), text("an email must bring")];

function printRow({ name, version, created_at, required }: TemplateRow): readonly string[] {
  return [name, String(version), printTime(created_at.toISOString()), required.join(", ") || DASH];
}

function shapeVersion({ name, version, created_at, required }: TemplateRow) {
  return { name, version, id: printTemplateId({ name, version }), created_at: created_at.toISOString(), required };
}

export interface TemplateShowOptions extends CommonOptions {
  readonly render?: boolean;
  readonly variables?: string;
}

export async function runTemplateShow(given: string, options: TemplateShowOptions): Promise<number> {
  const id = readId(given);
  if (options.render !== true && options.variables !== undefined) throw misused("--variables goes with --render.");
  const variables = options.variables === undefined ? {} : await readVariables(options.variables);
  const row = await withDatabase(readConfig(options), (pool) => readTemplate(pool, id));
  if (row === undefined) {
    const message = `There is no template "${harmless(given)}". \`postlane template list\` shows them.`;
    throw new CommandFailure("template_not_found", message);
  }
  const { source, content_id: _, ...version } = row;
  const output = createOutput(options);
  if (options.render !== true) {
    output.answer({ ...shapeVersion(version), source });
    const { attachments = [], ...texts } = source;
    printParts(texts, output.print);
    printAttachments(attachments, output.print);
    return EXIT_DONE;
  }
  try {
    const filled = fillTemplate(openTemplate(source), variables);
    output.answer({ ...shapeVersion(version), rendered: filled });
    printParts(filled, output.print);
    printAttachments(source.attachments ?? [], output.print);
    return EXIT_DONE;
  } catch (error) {
    if (!(error instanceof TemplateRefused)) throw error;
    return tellProblems(error.problems, `${printTemplateId(version)} cannot be filled in:`, options);
  }
}

function readId(given: string): TemplateId {
  const id = parseTemplateId(given);
  if (id !== undefined) return id;
  throw misused(`"${harmless(given)}" names no template: give a name, or name@version.`);
}

/** As files, each under a line with its name; nothing in them reaches the terminal as an order. */
function printParts(parts: FilledTemplate | Omit<TemplateSource, "attachments">, print: (line: string) => void): void {
  for (const [name, part] of Object.entries(parts)) {
    const inner: readonly (readonly [string, string])[] =
      typeof part === "string"
        ? [[name, part]]
        : Object.entries(part as Record<string, string>).map(([key, value]) => [`${name}: ${key}`, value]);
    for (const [title, value] of inner) {
      print(`--- ${harmless(title)} (${countOf(value.length, "character")})`);
      for (const line of value.replace(/\n$/, "").split(/\r\n?|\n/)) print(harmless(line.replaceAll("\t", "  ")));
    }
  }
}

function printAttachments(attachments: readonly TemplateAttachment[], print: (line: string) => void): void {
  for (const { filename, content_type, content_id, bytes } of attachments) {
    const said = [countOf(bytes, "byte"), content_type ?? [], content_id === undefined ? [] : `cid:${content_id}`];
    print(`--- attachment: ${harmless(filename)} (${said.flat().map(harmless).join(", ")})`);
  }
}
