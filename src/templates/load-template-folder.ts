// Reads a template from its folder: `template.yaml` (from, reply_to, subject, preheader), `body.html`, `body.txt`, at
// least one of the two. Everything that is wrong is told at once, with file, line and column. Reads these three files
// and no others, each up to a limit, and does not yet compare anything with a list.

import { open } from "node:fs/promises";
import { join } from "node:path";
import { isMap, isScalar, LineCounter, parseDocument, type Scalar, type YAMLMap } from "yaml";
import { parseMailbox } from "../mail/address.ts";
import type { TemplateProblem, TemplateSource } from "./compiled-template.ts";
import { parseTemplate, type ParsedTemplate, type Place, type TemplatePlaces } from "./parse-template.ts";

export type TemplateFolderLoaded =
  | { readonly kind: "template"; readonly source: TemplateSource; readonly template: ParsedTemplate }
  | { readonly kind: "bad"; readonly problems: readonly TemplateProblem[] };

export async function loadTemplateFolder(dir: string): Promise<TemplateFolderLoaded> {
  const [yaml, html, text] = await Promise.all(FILES.map((file) => readTemplateFile(dir, file)));
  const problems = [yaml!, html!, text!].flatMap((file) => (file.kind === "bad" ? [file.problem] : []));
  const settings = readSettings(yaml!, dir, problems);
  if (html!.kind === "absent" && text!.kind === "absent")
    problems.push(problemAt("body.html", START, `neither body.html nor body.txt is in ${dir}`));
  if (html!.kind === "absent" && settings.texts.preheader !== undefined)
    problems.push(problemAt("template.yaml", settings.places.preheader, "a preheader needs a body.html"));
  if (problems.length > 0) return { kind: "bad", problems };
  const source = sourceOf(settings.texts, html!, text!);
  const parsed = parseTemplate(source, settings.places);
  return parsed.kind === "bad" ? parsed : { kind: "template", source, template: parsed.template };
}

const YAML_BYTES_MAX = 65_536;
/** In UTF-8 a character has at most four octets; what then is too long is told by its characters. */
const BODY_BYTES_MAX = 4_000_000;
const KEYS = ["from", "reply_to", "subject", "preheader"] as const;
const FILES = [
  { name: "template.yaml", bytesMax: YAML_BYTES_MAX },
  { name: "body.html", bytesMax: BODY_BYTES_MAX },
  { name: "body.txt", bytesMax: BODY_BYTES_MAX },
] as const;
const START: Place = { line: 1, column: 1 };

type Key = (typeof KEYS)[number];
type Texts = Partial<Record<Key, string>>;
type FileRead =
  | { readonly kind: "read"; readonly text: string }
  | { readonly kind: "absent" }
  | { readonly kind: "bad"; readonly problem: TemplateProblem };

interface Settings {
  readonly texts: Texts;
  readonly places: TemplatePlaces;
}

async function readTemplateFile(dir: string, { name, bytesMax }: (typeof FILES)[number]): Promise<FileRead> {
  try {
    const bytes = await readUpTo(join(dir, name), bytesMax + 1);
    if (bytes.length > bytesMax) return bad(name, `has more than ${bytesMax} bytes`);
    return { kind: "read", text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return { kind: "absent" };
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") return bad(name, "is not UTF-8");
    return bad(name, `cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function readUpTo(path: string, bytesMax: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of file.createReadStream({ end: bytesMax - 1, autoClose: false }))
      chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  } finally {
    await file.close();
  }
}

function readSettings(file: FileRead, dir: string, problems: TemplateProblem[]): Settings {
  if (file.kind === "absent") problems.push(problemAt("template.yaml", START, `there is no template.yaml in ${dir}`));
  if (file.kind !== "read") return { texts: {}, places: { subject: START, preheader: START } };
  const lineCounter = new LineCounter();
  const document = parseDocument(file.text, { lineCounter });
  for (const error of document.errors) problems.push(yamlProblem(error, lineCounter));
  if (document.errors.length > 0) return { texts: {}, places: { subject: START, preheader: START } };
  if (!isMap(document.contents)) {
    problems.push(problemAt("template.yaml", START, "is not a map of keys; it needs at least `subject: …`"));
    return { texts: {}, places: { subject: START, preheader: START } };
  }
  return readKeys(new YamlReader(file.text, lineCounter, problems), document.contents);
}

function readKeys(reader: YamlReader, map: YAMLMap): Settings {
  const texts: Texts = {};
  const places: Partial<Record<Key, Place>> = {};
  for (const { key, value } of map.items) {
    const name = isScalar(key) ? String(key.value) : "";
    if (!isKey(name)) reader.refuse(key, `unknown key "${name}"; known are ${KEYS.join(", ")}`);
    else if (!isScalar(value) || typeof value.value !== "string") reader.refuse(key, `"${name}" must be a text`);
    else {
      texts[name] = value.value.trimEnd();
      places[name] = reader.placeOfText(value);
    }
  }
  reader.check(texts, places);
  return { texts, places: { subject: places.subject ?? START, preheader: places.preheader ?? START } };
}

function isKey(name: string): name is Key {
  return (KEYS as readonly string[]).includes(name);
}

/** Turns places in the YAML's text into lines and columns, and collects what is wrong there. */
class YamlReader {
  readonly #text: string;
  readonly #lines: LineCounter;
  readonly #problems: TemplateProblem[];

  constructor(text: string, lines: LineCounter, problems: TemplateProblem[]) {
    this.#text = text;
    this.#lines = lines;
    this.#problems = problems;
  }

  refuse(node: unknown, message: string): void {
    this.#problems.push(problemAt("template.yaml", isScalar(node) ? this.#placeAt(startOf(node)) : START, message));
  }

  /** Where the text itself begins: behind a quote, or in the line after a block's `|` or `>`. */
  placeOfText(node: Scalar): Place {
    const start = startOf(node);
    if (node.type === "QUOTE_DOUBLE" || node.type === "QUOTE_SINGLE") return this.#placeAt(start + 1);
    if (node.type === "PLAIN") return this.#placeAt(start);
    const next = this.#text.indexOf("\n", start) + 1;
    return this.#placeAt(next + /^ */.exec(this.#text.slice(next))![0].length);
  }

  check(texts: Texts, places: Partial<Record<Key, Place>>): void {
    const add = (key: Key, message: string) =>
      this.#problems.push(problemAt("template.yaml", places[key] ?? START, message));
    if (texts.subject === undefined || texts.subject === "") add("subject", 'the key "subject" is missing or empty');
    if (/[\r\n]/.test(texts.subject ?? "")) add("subject", "a subject has one line");
    for (const key of ["from", "reply_to"] as const) {
      const problem = texts[key] === undefined ? undefined : mailboxProblem(texts[key]);
      if (problem !== undefined) add(key, `"${key}": ${problem}`);
    }
  }

  #placeAt(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { line, column: col };
  }
}

function startOf(node: Scalar): number {
  return node.range?.[0] ?? 0;
}

/** Who a mail is from is the same for all recipients: constant, so that it can be checked here and now. */
function mailboxProblem(mailbox: string): string | undefined {
  if (/\{\{|\{%/.test(mailbox)) return "takes no Liquid";
  const parsed = parseMailbox(mailbox);
  return parsed.kind === "bad" ? `not a mailbox: ${parsed.reason}` : undefined;
}

function yamlProblem(error: { readonly message: string; readonly pos: readonly [number, number] }, lines: LineCounter) {
  const { line, col } = lines.linePos(error.pos[0]);
  return problemAt("template.yaml", { line, column: col }, error.message.split(" at line ")[0]!);
}

function problemAt(file: string, place: Place, message: string): TemplateProblem {
  return { file, line: place.line, column: place.column, message };
}

function bad(file: string, message: string): FileRead {
  return { kind: "bad", problem: problemAt(file, START, message) };
}

function sourceOf(texts: Texts, html: FileRead, text: FileRead): TemplateSource {
  return {
    ...texts,
    subject: texts.subject ?? "",
    ...(html.kind === "read" ? { html: html.text } : {}),
    ...(text.kind === "read" ? { text: text.text } : {}),
  };
}
