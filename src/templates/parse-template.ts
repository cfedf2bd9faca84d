// From a template's texts to Liquid's parse tree, each part on its own, so that an error names the part's file, line and
// column. Parsing is the check of the syntax; nothing is rendered here. The preheader is parsed as the HTML it becomes.

import type { Template } from "liquidjs";
import { PART_CHARS_MAX, type TemplateProblem, type TemplateSource } from "./compiled-template.ts";
import { liquidFor, type PartKind } from "./liquid-engine.ts";

export type TemplateParsed =
  | { readonly kind: "parsed"; readonly template: ParsedTemplate }
  | { readonly kind: "bad"; readonly problems: readonly TemplateProblem[] };

export interface ParsedTemplate {
  readonly source: TemplateSource;
  readonly parts: readonly ParsedPart[];
}

export interface ParsedPart {
  readonly file: string;
  readonly kind: PartKind;
  readonly nodes: Template[];
  readonly place: Place;
}

/** Where a part's text begins in its file. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Places of the texts that stand inside `template.yaml`; a stored template has lost them. */
export interface TemplatePlaces {
  readonly subject: Place;
  readonly preheader: Place;
}

export function parseTemplate(source: TemplateSource, places: TemplatePlaces = NO_PLACES): TemplateParsed {
  const parts: ParsedPart[] = [];
  const problems: TemplateProblem[] = [];
  for (const text of partsOf(source, places)) {
    const parsed = parsePart(text);
    if (parsed.kind === "bad") problems.push(parsed.problem);
    else parts.push(parsed.part);
  }
  return problems.length > 0 ? { kind: "bad", problems } : { kind: "parsed", template: { source, parts } };
}

/** What went wrong in Liquid, with its place in the part's file. */
export function liquidProblem(error: unknown, file: string, place: Place): TemplateProblem {
  const token = tokenOf(error);
  const [line, column] = token?.getPosition() ?? [1, 1];
  return { file, ...placeIn(place, line!, column!), message: reasonOf(error) };
}

/** A position in the part's text as a position in its file. */
export function placeIn(place: Place, line: number, column: number): Place {
  return line === 1 ? { line: place.line, column: place.column + column - 1 } : { line: place.line + line - 1, column };
}

/** Liquid sees LF only, so that a template means the same whichever system it was written on. */
export function withLineFeeds(text: string): string {
  return text.replace(/\r\n?/g, "\n");
}

const START: Place = { line: 1, column: 1 };
const NO_PLACES: TemplatePlaces = { subject: START, preheader: START };

interface PartText {
  readonly file: string;
  readonly kind: PartKind;
  readonly text: string;
  readonly place: Place;
}

function partsOf(source: TemplateSource, places: TemplatePlaces): readonly PartText[] {
  const parts: PartText[] = [{ file: "template.yaml", kind: "text", text: source.subject, place: places.subject }];
  if (source.preheader !== undefined)
    parts.push({ file: "template.yaml", kind: "html", text: source.preheader, place: places.preheader });
  if (source.html !== undefined) parts.push({ file: "body.html", kind: "html", text: source.html, place: START });
  if (source.text !== undefined) parts.push({ file: "body.txt", kind: "text", text: source.text, place: START });
  return parts;
}

type PartParsed =
  | { readonly kind: "parsed"; readonly part: ParsedPart }
  | { readonly kind: "bad"; readonly problem: TemplateProblem };

function parsePart({ file, kind, text, place }: PartText): PartParsed {
  if (text.length > PART_CHARS_MAX) {
    const message = `has ${text.length} characters, at most ${PART_CHARS_MAX} are taken`;
    return { kind: "bad", problem: { file, ...place, message } };
  }
  try {
    const nodes = liquidFor(kind).parse(withLineFeeds(text), file);
    return { kind: "parsed", part: { file, kind, nodes, place } };
  } catch (error) {
    return { kind: "bad", problem: liquidProblem(error, file, place) };
  }
}

interface Positioned {
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
  return message.replace(/(, file:[^,]*)?, line:\d+, col:\d+$/s, "");
}
