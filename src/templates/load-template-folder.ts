// Reads a template from its folder: `template.yaml`, `body.html`, `body.txt` (one of the two, or both) and `partials/`, and
// partials that several templates share from a folder of theirs. Everything that is wrong is told at once, with file, line
// and column. Reads these files and no others, each up to a limit, and does not yet compare anything with a list.

import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { isMap, isScalar, LineCounter, parseDocument, type Scalar, type YAMLMap } from "yaml";
import type { TemplateProblem, TemplateSource } from "./compiled-template.ts";
import { parseTemplate, type Place, START, type TemplatePlaces } from "./parse-template.ts";
import { isPartialFile, PARTIALS_MAX } from "./partial-files.ts";
import { prepareTemplate, templateOddities, type TemplatePrepared } from "./prepare-template.ts";

export interface TemplateFolders {
  /** Partials that several templates share; what is used of them goes into the template. Its own go before. */
  readonly sharedDir?: string;
}

export async function loadTemplateFolder(dir: string, { sharedDir }: TemplateFolders = {}): Promise<TemplatePrepared> {
  const [yaml, html, text] = await Promise.all(FILES.map((file) => readTemplateFile(dir, file)));
  const problems = [yaml!, html!, text!].flatMap((file) => (file.kind === "bad" ? [file.problem] : []));
  const settings = readSettings(yaml!, dir, problems);
  const own = await readPartials(join(dir, PARTIALS_DIR), "optional", problems);
  const shared = sharedDir === undefined ? {} : await readPartials(sharedDir, "required", problems);
  const source = sourceOf(settings, html!, text!, own);
  if (yaml!.kind === "read") problems.push(...templateOddities(source, settings.places));
  if (problems.length > 0) return { kind: "bad", problems };
  return prepareTemplate(withShared(source, shared), settings.places);
}

const YAML_BYTES_MAX = 65_536;
/** In UTF-8 a character has at most four octets; what then is too long is told by its characters. */
const BODY_BYTES_MAX = 4_000_000;
const TEXT_KEYS = ["from", "reply_to", "subject", "preheader", "locale", "time_zone"] as const;
const KEYS: readonly string[] = ["from", "reply_to", "subject", "preheader", "headers", "locale", "time_zone"];
const FILES = [
  { name: "template.yaml", bytesMax: YAML_BYTES_MAX },
  { name: "body.html", bytesMax: BODY_BYTES_MAX },
  { name: "body.txt", bytesMax: BODY_BYTES_MAX },
] as const;
const PARTIALS_DIR = "partials";

type Texts = Partial<Record<(typeof TEXT_KEYS)[number], string>>;
type FileRead =
  | { readonly kind: "read"; readonly text: string }
  | { readonly kind: "absent" }
  | { readonly kind: "bad"; readonly problem: TemplateProblem };

interface Settings {
  readonly texts: Texts;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly places: TemplatePlaces;
}

interface FileToRead {
  readonly name: string;
  readonly bytesMax: number;
  /** In problems. */
  readonly file?: string;
}

async function readTemplateFile(dir: string, { name, bytesMax, file = name }: FileToRead): Promise<FileRead> {
  try {
    const bytes = await readUpTo(join(dir, name), bytesMax + 1);
    if (bytes.length > bytesMax) return bad(file, `has more than ${bytesMax} bytes`);
    return { kind: "read", text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return { kind: "absent" };
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") return bad(file, "is not UTF-8");
    return bad(file, `cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
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

// ---- partials --------------------------------------------------------------------------------------------------------

async function readPartials(
  dir: string,
  need: "optional" | "required",
  problems: TemplateProblem[],
): Promise<Readonly<Record<string, string>>> {
  const names = await namesIn(dir, need, problems);
  if (names.length > PARTIALS_MAX) {
    problems.push(problemAt(PARTIALS_DIR, START, `${dir} has more than ${PARTIALS_MAX} partials`));
    return {};
  }
  const texts: [string, string][] = [];
  for (const name of names) {
    const file = `${PARTIALS_DIR}/${name}`;
    const read = isPartialFile(name)
      ? await readTemplateFile(dir, { name, bytesMax: BODY_BYTES_MAX, file })
      : bad(file, "a partial is named like footer.html, footer.txt or footer.liquid");
    if (read.kind === "bad") problems.push(read.problem);
    if (read.kind === "read") texts.push([name, read.text]);
  }
  return Object.fromEntries(texts);
}

/** In one order, whatever the disk's is: the same folder is the same template. */
async function namesIn(
  dir: string,
  need: "optional" | "required",
  problems: TemplateProblem[],
): Promise<readonly string[]> {
  try {
    return (await readdir(dir)).filter((name) => !name.startsWith(".")).toSorted();
  } catch (error) {
    if (need === "optional" && codeOf(error) === "ENOENT") return [];
    const reason = error instanceof Error ? error.message : String(error);
    problems.push(problemAt(PARTIALS_DIR, START, `${dir} cannot be read: ${reason}`));
    return [];
  }
}

/** What the template uses of them. A name that it uses in HTML is taken for its text part, too. */
function withShared(source: TemplateSource, shared: Readonly<Record<string, string>>): TemplateSource {
  if (Object.keys(shared).length === 0) return source;
  const all = { ...source, partials: { ...shared, ...source.partials } };
  const parsed = parseTemplate(all);
  // Then it is told what is wrong with all of them.
  if (parsed.kind === "bad") return all;
  const used = new Set(parsed.template.parts.flatMap(({ partials }) => [...partials.keys()]));
  const kept = Object.entries(shared).filter(([file]) => used.has(file.replace(/\.\w+$/, "")));
  const partials = { ...Object.fromEntries(kept), ...source.partials };
  return { ...source, ...(Object.keys(partials).length === 0 ? {} : { partials }) };
}

// ---- template.yaml ---------------------------------------------------------------------------------------------------

const NO_SETTINGS: Settings = { texts: {}, headers: undefined, places: { keys: new Map(), headers: new Map() } };

function readSettings(file: FileRead, dir: string, problems: TemplateProblem[]): Settings {
  if (file.kind === "absent") problems.push(problemAt("template.yaml", START, `there is no template.yaml in ${dir}`));
  if (file.kind !== "read") return NO_SETTINGS;
  const lineCounter = new LineCounter();
  const document = parseDocument(file.text, { lineCounter });
  for (const error of document.errors) problems.push(yamlProblem(error, lineCounter));
  if (document.errors.length > 0) return NO_SETTINGS;
  if (!isMap(document.contents)) {
    problems.push(problemAt("template.yaml", START, "is not a map of keys; it needs at least `subject: …`"));
    return NO_SETTINGS;
  }
  return readKeys(new YamlReader(file.text, lineCounter, problems), document.contents);
}

function readKeys(reader: YamlReader, map: YAMLMap): Settings {
  const texts: Texts = {};
  const keys = new Map<string, Place>();
  let headers: TextMap | undefined;
  for (const { key, value } of map.items) {
    const name = isScalar(key) ? String(key.value) : "";
    keys.set(name, reader.placeOf(key));
    if (!KEYS.includes(name)) reader.refuse(key, `unknown key "${name}"; known are ${KEYS.join(", ")}`);
    else if (name !== "headers") {
      const text = reader.readText(name, key, value);
      if (text === undefined) continue;
      texts[name as keyof Texts] = text;
      keys.set(name, reader.placeOfText(value as Scalar));
    } else if (isMap(value)) headers = reader.readTexts(value);
    else reader.refuse(key, '"headers" must be a map of names and texts');
  }
  return { texts, headers: headers?.texts, places: { keys, headers: headers?.places ?? new Map() } };
}

interface TextMap {
  readonly texts: Readonly<Record<string, string>>;
  readonly places: ReadonlyMap<string, Place>;
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
    this.#problems.push(problemAt("template.yaml", this.placeOf(node), message));
  }

  readText(name: string, key: unknown, value: unknown): string | undefined {
    if (isScalar(value) && typeof value.value === "string") return value.value.trimEnd();
    this.refuse(key, `"${name}" must be a text`);
    return undefined;
  }

  readTexts(map: YAMLMap): TextMap {
    const texts: [string, string][] = [];
    const places = new Map<string, Place>();
    for (const { key, value } of map.items) {
      const name = isScalar(key) ? String(key.value) : "";
      const text = this.readText(name, key, value);
      if (text === undefined) continue;
      texts.push([name, text]);
      places.set(name, this.placeOfText(value as Scalar));
    }
    return { texts: Object.fromEntries(texts), places };
  }

  placeOf(node: unknown): Place {
    return isScalar(node) ? this.#placeAt(startOf(node)) : START;
  }

  /** Where the text itself begins: behind a quote, or in the line after a block's `|` or `>`. */
  placeOfText(node: Scalar): Place {
    const start = startOf(node);
    if (node.type === "QUOTE_DOUBLE" || node.type === "QUOTE_SINGLE") return this.#placeAt(start + 1);
    if (node.type === "PLAIN") return this.#placeAt(start);
    const next = this.#text.indexOf("\n", start) + 1;
    return this.#placeAt(next + /^ */.exec(this.#text.slice(next))![0].length);
  }

  #placeAt(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { line, column: col };
  }
}

function startOf(node: Scalar): number {
  return node.range?.[0] ?? 0;
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

function sourceOf(
  { texts, headers }: Settings,
  html: FileRead,
  text: FileRead,
  partials: Readonly<Record<string, string>>,
): TemplateSource {
  return {
    ...texts,
    subject: texts.subject ?? "",
    ...(headers === undefined ? {} : { headers }),
    ...(Object.keys(partials).length === 0 ? {} : { partials }),
    ...bodyOf("html", html),
    ...bodyOf("text", text),
  };
}

/** What is there and cannot be read is told as that, and not as missing. */
function bodyOf(name: "html" | "text", file: FileRead): Partial<Record<"html" | "text", string>> {
  return file.kind === "absent" ? {} : { [name]: file.kind === "read" ? file.text : "" };
}
