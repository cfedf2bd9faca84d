// From a template's texts to Liquid's parse tree, each part on its own, so that an error names the part's file, line and
// column. Partials are found and parsed with the part that uses them: one that is missing, uses itself, or is used beyond
// measure is an error here, before anything is rendered. The preheader is parsed as the HTML it becomes.

import { type Liquid, type Template, toValueSync, TypeGuards } from "liquidjs";
import { LIQUID_TAGS_MAX, PART_CHARS_MAX, type TemplateProblem, type TemplateSource } from "./compiled-template.ts";
import { liquidFor, type PartKind } from "./liquid-engine.ts";
import { PARTIAL_DEPTH_MAX, PARTIAL_USES_MAX, partialFile } from "./partial-files.ts";

export type TemplateParsed =
  | { readonly kind: "parsed"; readonly template: ParsedTemplate }
  | { readonly kind: "bad"; readonly problems: readonly TemplateProblem[] };

export interface ParsedTemplate {
  readonly source: TemplateSource;
  readonly engines: Readonly<Record<PartKind, Liquid>>;
  readonly parts: readonly ParsedPart[];
}

/** Which text of the template a part is. */
export type PartName = "subject" | "preheader" | "html" | "text" | `header ${string}`;

export interface ParsedPart {
  readonly name: PartName;
  readonly file: string;
  readonly kind: PartKind;
  readonly nodes: Template[];
  readonly place: Place;
  /** What the part and its partials use, by the name in the tag. */
  readonly partials: ReadonlyMap<string, ParsedPartial>;
}

export interface ParsedPartial {
  readonly file: string;
  readonly nodes: readonly Template[];
}

/** Where a part's text begins in its file. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Where texts stand inside `template.yaml`, by key and by name of a header; a stored template has lost that. */
export interface TemplatePlaces {
  readonly keys: ReadonlyMap<string, Place>;
  readonly headers: ReadonlyMap<string, Place>;
  /** In their order. */
  readonly attachments: readonly Place[];
}

export function parseTemplate(source: TemplateSource, places: TemplatePlaces = NO_PLACES): TemplateParsed {
  const engines = { text: liquidFor("text", source), html: liquidFor("html", source) };
  const parts: ParsedPart[] = [];
  const problems: TemplateProblem[] = [];
  for (const text of partsOf(source, places)) {
    const parsed = parsePart(engines[text.kind], source.partials ?? {}, text);
    if (parsed.kind === "bad") problems.push(...parsed.problems.filter((problem) => !isKnown(problems, problem)));
    else parts.push(parsed.part);
  }
  return problems.length > 0 ? { kind: "bad", problems } : { kind: "parsed", template: { source, engines, parts } };
}

/** What went wrong in Liquid, with its place in the part's file, or in the partial's. */
export function liquidProblem(error: unknown, file: string, place: Place): TemplateProblem {
  const token = tokenOf(error);
  const [line, column] = token?.getPosition() ?? [1, 1];
  const message = reasonOf(error);
  if (token?.file?.startsWith(PARTIALS_DIR)) return { file: token.file, line: line!, column: column!, message };
  return { file, ...placeIn(place, line!, column!), message };
}

/** A position in the part's text as a position in its file. */
export function placeIn(place: Place, line: number, column: number): Place {
  return line === 1 ? { line: place.line, column: place.column + column - 1 } : { line: place.line + line - 1, column };
}

/** Liquid sees LF only, so that a template means the same whichever system it was written on. */
export function withLineFeeds(text: string): string {
  return text.replace(/\r\n?/g, "\n");
}

/** The partial that a node names, or undefined when it names none. */
export function partialNameOf(node: Template): string | undefined {
  return node.partialScope?.()?.name;
}

/** What stands within a node, without its partials. */
export function childrenOf(node: Template): readonly Template[] {
  if (!node.children) return [];
  const children: Template[] = toValueSync(node.children(false, true));
  return children;
}

export function tagOf(node: Template): string | undefined {
  return TypeGuards.isTagToken(node.token) ? node.token.name : undefined;
}

export const START: Place = { line: 1, column: 1 };
export const NO_PLACES: TemplatePlaces = { keys: new Map(), headers: new Map(), attachments: [] };
const PARTIALS_DIR = "partials/";

interface PartText {
  readonly name: PartName;
  readonly file: string;
  readonly kind: PartKind;
  readonly text: string;
  readonly place: Place;
}

function partsOf(source: TemplateSource, places: TemplatePlaces): readonly PartText[] {
  const yaml = { file: "template.yaml", kind: "text" } as const;
  const { subject, preheader, headers = {}, html, text } = source;
  const parts: PartText[] = [{ ...yaml, name: "subject", text: subject, place: places.keys.get("subject") ?? START }];
  for (const [name, value] of Object.entries(headers))
    parts.push({ ...yaml, name: `header ${name}`, text: value, place: places.headers.get(name) ?? START });
  if (preheader !== undefined)
    parts.push({
      ...yaml,
      name: "preheader",
      kind: "html",
      text: preheader,
      place: places.keys.get("preheader") ?? START,
    });
  if (html !== undefined) parts.push({ name: "html", file: "body.html", kind: "html", text: html, place: START });
  if (text !== undefined) parts.push({ name: "text", file: "body.txt", kind: "text", text, place: START });
  return parts;
}

/** Two parts may use the same broken partial. */
function isKnown(problems: readonly TemplateProblem[], problem: TemplateProblem): boolean {
  return problems.some(
    ({ file, line, column, message }) =>
      file === problem.file && line === problem.line && column === problem.column && message === problem.message,
  );
}

type PartParsed =
  | { readonly kind: "parsed"; readonly part: ParsedPart }
  | { readonly kind: "bad"; readonly problems: readonly TemplateProblem[] };

function parsePart(engine: Liquid, texts: Readonly<Record<string, string>>, part: PartText): PartParsed {
  const { name, file, kind, text, place } = part;
  const size = sizeProblem(text);
  if (size !== undefined) return { kind: "bad", problems: [{ file, ...place, message: size }] };
  try {
    const nodes = engine.parse(withLineFeeds(text), file);
    const search: Search = { engine, kind, texts, place, found: new Map(), weights: new Map(), problems: [] };
    weigh(search, { file, nodes }, []);
    if (search.problems.length > 0) return { kind: "bad", problems: search.problems };
    return { kind: "parsed", part: { name, file, kind, nodes, place, partials: search.found } };
  } catch (error) {
    return { kind: "bad", problems: [liquidProblem(error, file, place)] };
  }
}

function sizeProblem(text: string): string | undefined {
  if (text.length > PART_CHARS_MAX) return `has ${text.length} characters, at most ${PART_CHARS_MAX} are taken`;
  const tags = text.length < LIQUID_TAGS_MAX ? 0 : (text.match(/\{[{%]/g)?.length ?? 0);
  return tags > LIQUID_TAGS_MAX ? `has ${tags} tags and outputs, at most ${LIQUID_TAGS_MAX} are taken` : undefined;
}

// ---- partials --------------------------------------------------------------------------------------------------------

interface Search {
  readonly engine: Liquid;
  readonly kind: PartKind;
  readonly texts: Readonly<Record<string, string>>;
  /** Of the part. */
  readonly place: Place;
  readonly found: Map<string, ParsedPartial>;
  /** By file, so that each is looked through once. */
  readonly weights: Map<string, Weight>;
  readonly problems: TemplateProblem[];
}

/** What one rendering of a text comes to. */
interface Weight {
  /** Uses of partials, also by partials. */
  readonly uses: number;
  /** How deep partials stand within one another. */
  readonly depth: number;
}

const NOTHING: Weight = { uses: 0, depth: 0 };

function weigh(search: Search, { file, nodes }: ParsedPartial, within: readonly string[]): Weight {
  let [uses, depth] = [0, 0];
  const walk = (node: Template): void => {
    if (PARTIAL_TAGS.has(tagOf(node) ?? "")) {
      const used = weighUse(search, node, file, within);
      if (used.uses <= PARTIAL_USES_MAX && uses <= PARTIAL_USES_MAX && uses + used.uses > PARTIAL_USES_MAX)
        complain(search, node, file, `from here on partials are used more than ${PARTIAL_USES_MAX} times`);
      uses += used.uses;
      depth = Math.max(depth, used.depth);
    }
    for (const child of childrenOf(node)) walk(child);
  };
  for (const node of nodes) walk(node);
  return { uses, depth };
}

const PARTIAL_TAGS = new Set(["render", "layout"]);

function weighUse(search: Search, node: Template, file: string, within: readonly string[]): Weight {
  const refuse = (message: string): Weight => {
    complain(search, node, file, message);
    return NOTHING;
  };
  const name = partialNameOf(node);
  if (name === undefined)
    return refuse(`the name of a ${tagOf(node) === "layout" ? "layout" : "partial"} stands in quotes`);
  const found = partialFile(search.texts, name, search.kind);
  if (found === undefined)
    return refuse(`there is no partial ${name}.${search.kind === "html" ? "html" : "txt"} or ${name}.liquid`);
  const path = PARTIALS_DIR + found;
  if (within.includes(path)) return refuse(`${[...within, path].join(" → ")}: a partial cannot use itself`);
  const weight = weightOf(search, name, found, [...within, path]);
  if (weight.depth === PARTIAL_DEPTH_MAX)
    complain(search, node, file, `partials stand more than ${PARTIAL_DEPTH_MAX} deep`);
  return { uses: weight.uses + 1, depth: weight.depth + 1 };
}

function weightOf(search: Search, name: string, found: string, within: readonly string[]): Weight {
  const path = PARTIALS_DIR + found;
  const known = search.weights.get(path);
  if (known !== undefined) return known;
  const partial = parsePartial(search, path, search.texts[found]!);
  if (partial !== undefined) search.found.set(name, partial);
  const weight = partial === undefined ? NOTHING : weigh(search, partial, within);
  search.weights.set(path, weight);
  return weight;
}

function parsePartial(search: Search, file: string, text: string): ParsedPartial | undefined {
  const size = sizeProblem(text);
  if (size !== undefined) {
    search.problems.push({ file, ...START, message: size });
    return undefined;
  }
  try {
    return { file, nodes: search.engine.parse(withLineFeeds(text), file) };
  } catch (error) {
    search.problems.push(liquidProblem(error, file, START));
    return undefined;
  }
}

/** Of a part; more help nobody, and comparing them costs the square. */
const PROBLEMS_MAX = 100;

function complain(search: Search, node: Template, file: string, message: string): void {
  if (search.problems.length >= PROBLEMS_MAX) return;
  const [line, column] = node.token.getPosition?.() ?? [1, 1];
  const place = file.startsWith(PARTIALS_DIR) ? START : search.place;
  search.problems.push({ file, ...placeIn(place, line!, column!), message });
}

interface Positioned {
  readonly file?: string;
  getPosition(): number[];
}

function tokenOf(error: unknown): Positioned | undefined {
  const token = error instanceof Error && "token" in error ? error.token : undefined;
  const isPositioned = typeof token === "object" && token !== null && "getPosition" in token;
  return isPositioned ? (token as Positioned) : undefined;
}

/** Liquid appends file, line and column to its messages, which stand in fields of their own here. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (message.startsWith("Maximum call stack size exceeded")) return "tags or values stand too deep within one another";
  return message.replace(/(, file:[^,]*)?, line:\d+, col:\d+$/s, "");
}
