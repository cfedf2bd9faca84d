// A template as pieces: constants, and functions of the recipient's data. Plain outputs (`{{ name }}`, with `default`,
// `escape` or `raw`) are done here by hand, some hundred times faster than a rendering; conditions, loops and other
// filters are left to Liquid, one piece each; a part that assigns variables is rendered as one piece. Either way the
// text is what Liquid makes of the part, to the byte: a property test compares.

import { type Liquid, type Output, type Template, toValueSync, TypeGuards } from "liquidjs";
import {
  type CompiledTemplate,
  type MergeData,
  type Piece,
  TemplateRefused,
  type TemplateSource,
} from "./compiled-template.ts";
import { withPreheader } from "./insert-preheader.ts";
import { type PartKind, printValue, renderNodes, liquidFor } from "./liquid-engine.ts";
import { liquidProblem, parseTemplate, type Place, withLineFeeds } from "./parse-template.ts";

/** Throws `TemplateRefused` when the template does not parse. */
export function compileTemplate(source: TemplateSource): CompiledTemplate {
  const parsed = parseTemplate(source);
  if (parsed.kind === "bad") throw new TemplateRefused(parsed.problems);
  const { from, reply_to, subject, headers = {}, text } = source;
  const filled = withPreheader(source);
  const asText = (file: string, value: string) =>
    compilePart({ file, kind: "text", engine: parsed.template.engines.text }, value);
  const html = { file: "body.html", kind: "html", engine: liquidFor("html", filled) } as const;
  const named = Object.entries(headers).map(([name, value]) => ({ name, pieces: asText("template.yaml", value) }));
  return {
    ...(from === undefined ? {} : { from }),
    ...(reply_to === undefined ? {} : { replyTo: reply_to }),
    subject: asText("template.yaml", subject),
    ...(text === undefined ? {} : { text: asText("body.txt", text) }),
    ...(filled.html === undefined ? {} : { html: compilePart(html, filled.html) }),
    ...(named.length === 0 ? {} : { headers: named }),
  };
}

function compilePart(part: Part, text: string): readonly Piece[] {
  const nodes = part.engine.parse(withLineFeeds(text), part.file);
  if (!isStateless(nodes)) return [rendered(part, nodes)];
  return mergeConstants(nodes.map((node) => compileNode(part, node)));
}

interface Part {
  readonly file: string;
  readonly kind: PartKind;
  readonly engine: Liquid;
}

function compileNode(part: Part, node: Template): Piece {
  if (isConstant(node)) return renderNodes(part.engine, [node], {});
  if (TypeGuards.isOutputToken(node.token)) return plainOutput(part.kind, node as Output) ?? rendered(part, [node]);
  return rendered(part, [node]);
}

const CONSTANT_TAGS = new Set(["raw", "comment", "#"]);
/** These leave nothing behind for the rest of the part. A layout and its blocks do: blocks are kept until it is rendered. */
const STATELESS_TAGS = new Set(["if", "unless", "case", "for", "tablerow", "render", ...CONSTANT_TAGS]);

function isConstant(node: Template): boolean {
  return (
    TypeGuards.isHTMLToken(node.token) || (TypeGuards.isTagToken(node.token) && CONSTANT_TAGS.has(node.token.name))
  );
}

/** No node changes what a later one prints. `offset: continue` makes a loop remember an earlier one. */
function isStateless(nodes: readonly Template[]): boolean {
  return nodes.every((node) => {
    if (!TypeGuards.isTagToken(node.token)) return true;
    if (!STATELESS_TAGS.has(node.token.name) || /\bcontinue\b/.test(node.token.args)) return false;
    const children: Template[] = node.children ? toValueSync(node.children(false, true)) : [];
    return isStateless(children);
  });
}

/** Liquid itself, for what is not done by hand. */
function rendered(part: Part, nodes: Template[]): Piece {
  return (data) => {
    try {
      return renderNodes(part.engine, nodes, data);
    } catch (error) {
      throw new TemplateRefused([liquidProblem(error, part.file, START)]);
    }
  };
}

const START: Place = { line: 1, column: 1 };

function mergeConstants(pieces: readonly Piece[]): readonly Piece[] {
  const merged: Piece[] = [];
  for (const piece of pieces) {
    const last = merged.at(-1);
    if (typeof piece === "string" && typeof last === "string") merged[merged.length - 1] = last + piece;
    else merged.push(piece);
  }
  return merged;
}

type Step = (value: unknown) => unknown;

/** A variable with a single name and the simplest filters, or undefined when the output is anything else. */
function plainOutput(kind: PartKind, node: Output): Piece | undefined {
  const name = plainName(node);
  const steps = plainSteps(kind, node);
  if (name === undefined || steps === undefined) return undefined;
  const read = (data: MergeData): unknown => (Object.hasOwn(data, name) ? data[name] : undefined);
  const [first, second] = steps;
  if (first === undefined) return (data) => printValue(read(data));
  if (second === undefined) return (data) => printValue(first(read(data)));
  return (data) => printValue(steps.reduce((value, step) => step(value), read(data)));
}

/** Liquid gives these a meaning of their own on any object. */
const SPECIAL_NAMES = new Set(["size", "first", "last"]);

function plainName(node: Output): string | undefined {
  const [token, ...more] = node.value.initial.postfix;
  if (more.length > 0 || !TypeGuards.isPropertyAccessToken(token) || token.variable !== undefined) return undefined;
  const [root, ...rest] = token.props;
  if (rest.length > 0 || root === undefined || !TypeGuards.isWordToken(root)) return undefined;
  return SPECIAL_NAMES.has(root.content) ? undefined : root.content;
}

function plainSteps(kind: PartKind, node: Output): readonly Step[] | undefined {
  const { filters } = node.value;
  // In HTML, Liquid appends its escaping to every output whose last filter is not raw.
  const isEscaped = kind === "html" && filters.at(-1)?.raw !== true;
  const steps = (isEscaped ? filters.slice(0, -1) : filters).map(plainStep);
  if (steps.some((step) => step === undefined)) return undefined;
  const known = steps.filter((step) => step !== undefined);
  return isEscaped ? [...known, escapeHtml] : known;
}

type OutputFilter = Output["value"]["filters"][number];

function plainStep(filter: OutputFilter): Step | undefined {
  if (filter.name === "default") return defaultStep(filter);
  if (filter.args.length > 0) return undefined;
  if (filter.name === "escape") return escapeHtml;
  return filter.name === "raw" ? (value) => value : undefined;
}

function defaultStep(filter: OutputFilter): Step | undefined {
  const [given, ...more] = filter.args;
  if (more.length > 0 || !(TypeGuards.isQuotedToken(given) || TypeGuards.isNumberToken(given))) return undefined;
  const fallback = given.content;
  return (value) => {
    if (typeof value === "string" || Array.isArray(value)) return value.length > 0 ? value : fallback;
    return value === false || value === null || value === undefined ? fallback : value;
  };
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
};

function escapeHtml(value: unknown): string {
  const text = printValue(value);
  return /[&<>"']/.test(text) ? text.replace(/[&<>"']/g, (character) => ENTITIES[character]!) : text;
}
