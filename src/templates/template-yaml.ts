// The keys of `template.yaml`, with the place of each, so that whatever is wrong with it later is told with line and column.
// Opens no other file: of attachments it says which are wished for.

import { isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument, type Scalar, type YAMLMap } from "yaml";
import type { TemplateProblem } from "./compiled-template.ts";
import { type Place, START } from "./parse-template.ts";

type Texts = Partial<Record<(typeof TEXT_KEYS)[number], string>>;

export interface TemplateSettings {
  readonly texts: Texts;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly attachments: readonly AttachmentWish[];
  readonly keys: ReadonlyMap<string, Place>;
  readonly headerPlaces: ReadonlyMap<string, Place>;
}

/** An attachment as `template.yaml` names it. */
export interface AttachmentWish {
  /** Within the template's folder. */
  readonly file: string;
  readonly filename?: string;
  readonly content_type?: string;
  readonly content_id?: string;
  readonly place: Place;
}

export const NO_SETTINGS: TemplateSettings = {
  texts: {},
  headers: undefined,
  attachments: [],
  keys: new Map(),
  headerPlaces: new Map(),
};

export function readSettings(text: string, problems: TemplateProblem[]): TemplateSettings {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter });
  for (const error of document.errors) problems.push(yamlProblem(error, lineCounter));
  if (document.errors.length > 0) return NO_SETTINGS;
  if (!isMap(document.contents)) {
    problems.push(problemAt("template.yaml", START, "is not a map of keys; it needs at least `subject: …`"));
    return NO_SETTINGS;
  }
  return readKeys(new YamlReader(text, lineCounter, problems), document.contents);
}

const TEXT_KEYS = ["from", "reply_to", "subject", "preheader", "locale", "time_zone"] as const;
const KEYS: readonly string[] = [
  "from",
  "reply_to",
  "subject",
  "preheader",
  "headers",
  "attachments",
  "locale",
  "time_zone",
];
const ATTACHMENT_KEYS = ["file", "filename", "content_type", "content_id"] as const;
const ATTACHMENT_EXPECTED = "for example `- file: attachments/terms.pdf`";

function readKeys(reader: YamlReader, map: YAMLMap): TemplateSettings {
  const texts: Texts = {};
  const keys = new Map<string, Place>();
  let headers: TextMap | undefined;
  let attachments: readonly AttachmentWish[] = [];
  for (const { key, value } of map.items) {
    const name = isScalar(key) ? String(key.value) : "";
    keys.set(name, reader.placeOf(key));
    if (!KEYS.includes(name)) reader.refuse(key, `unknown key "${name}"; known are ${KEYS.join(", ")}`);
    else if (name === "headers") {
      if (isMap(value)) headers = reader.readTexts(value);
      else reader.refuse(key, '"headers" must be a map of names and texts');
    } else if (name === "attachments") attachments = readWishes(reader, key, value);
    else {
      const text = reader.readText(name, key, value);
      if (text === undefined) continue;
      texts[name as keyof Texts] = text;
      keys.set(name, reader.placeOfText(value as Scalar));
    }
  }
  return { texts, headers: headers?.texts, attachments, keys, headerPlaces: headers?.places ?? new Map() };
}

function readWishes(reader: YamlReader, key: unknown, value: unknown): readonly AttachmentWish[] {
  if (isSeq(value)) return value.items.flatMap((item) => readWish(reader, key, item) ?? []);
  reader.refuse(key, `"attachments" must be a list; ${ATTACHMENT_EXPECTED}`);
  return [];
}

function readWish(reader: YamlReader, listKey: unknown, item: unknown): AttachmentWish | undefined {
  if (!isMap(item)) {
    reader.refuse(isScalar(item) ? item : listKey, `an attachment is a map; ${ATTACHMENT_EXPECTED}`);
    return undefined;
  }
  const texts: Partial<Record<(typeof ATTACHMENT_KEYS)[number], string>> = {};
  const known: readonly string[] = ATTACHMENT_KEYS;
  for (const { key, value } of item.items) {
    const name = isScalar(key) ? String(key.value) : "";
    if (!known.includes(name)) {
      reader.refuse(key, `unknown key "${name}" of an attachment; known are ${known.join(", ")}`);
      continue;
    }
    const text = reader.readText(name, key, value);
    if (text !== undefined) texts[name as keyof typeof texts] = text;
  }
  const place = reader.placeOf(item);
  const { file, ...said } = texts;
  if (file !== undefined) return { ...said, file, place };
  if (!item.has("file")) reader.refuse(item, `an attachment needs "file"; ${ATTACHMENT_EXPECTED}`);
  return undefined;
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
    return isNode(node) ? this.#placeAt(startOf(node)) : START;
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

function startOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

function yamlProblem(error: { readonly message: string; readonly pos: readonly [number, number] }, lines: LineCounter) {
  const { line, col } = lines.linePos(error.pos[0]);
  return problemAt("template.yaml", { line, column: col }, error.message.split(" at line ")[0]!);
}

export function problemAt(file: string, place: Place, message: string): TemplateProblem {
  return { file, line: place.line, column: place.column, message };
}
