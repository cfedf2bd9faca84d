// Which of the list's columns a template uses, and where, its partials and layouts included. What a template assigns
// itself, what a loop names and what a partial is given are not columns. A use needs a value when an empty cell would leave a hole: it is printed or assigned without `default`, and
// no condition around it compares it (a bare `{% if first_name %}` does not count: in Liquid an empty text is true).

import { type Template, TypeGuards, Value } from "liquidjs";
import {
  childrenOf,
  type ParsedPart,
  type ParsedPartial,
  type ParsedTemplate,
  partialNameOf,
  type Place,
  placeIn,
  tagOf,
} from "./parse-template.ts";

/** Where the recipient unsubscribes: each message of a campaign in a bulk lane has it, without being a column. */
export const UNSUBSCRIBE_URL = "unsubscribe_url";

export interface TemplateVariable {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly hasDefault: boolean;
  /** An empty cell would leave a hole here. */
  readonly needsValue: boolean;
  /** With what it reads of the variable, such as `order.total`. */
  readonly path: string;
  /** No condition and no loop decides whether it is used. */
  readonly isCertain: boolean;
}

export function templateVariables(template: ParsedTemplate): readonly TemplateVariable[] {
  return template.parts.flatMap((part) => {
    const { file, place } = part;
    const walk: Walk = { part, file, place, found: [], lines: new Map(), assigned: new Set(), blocks: new Set() };
    visitAll(walk, part.nodes, { names: new Set(), compared: new Set(), isCertain: true });
    return walk.found;
  });
}

/** The columns in which an empty cell stops a check, by name and without doubles. */
export function requiredVariables(template: ParsedTemplate): readonly string[] {
  const needed = templateVariables(template).filter((variable) => variable.needsValue);
  return [...new Set(needed.map((variable) => variable.name))];
}

/** What an email must bring, by path: it is printed in any case, and without `default`, and Postlane does not know it. */
export function requiredPaths(template: ParsedTemplate): readonly string[] {
  const needed = templateVariables(template).filter(
    ({ name, needsValue, isCertain }) => needsValue && isCertain && name !== UNSUBSCRIBE_URL,
  );
  return [...new Set(needed.map(({ path }) => path))].toSorted();
}

interface Walk {
  readonly part: ParsedPart;
  /** Of the part, or of the partial that is looked through. */
  readonly file: string;
  readonly place: Place;
  readonly found: TemplateVariable[];
  /** Where the lines of each text begin: Liquid counts from the text's beginning for every position. */
  readonly lines: Map<string, readonly number[]>;
  /** Liquid's assignments hold from where they stand to the end of the part, whatever block they stand in. */
  readonly assigned: Set<string>;
  /** Blocks that a page has filled, so that what its layout has there is not printed. */
  readonly blocks: Set<string>;
}

interface Scope {
  readonly names: ReadonlySet<string>;
  /** Compared by a condition around here, so the template knows that they may be empty. */
  readonly compared: ReadonlySet<string>;
  readonly isCertain: boolean;
}

interface Use {
  readonly name: string;
  readonly path: string;
  readonly token: { readonly input: string; readonly begin: number };
}

function visitAll(walk: Walk, nodes: Iterable<Template>, scope: Scope): void {
  for (const node of nodes) visit(walk, node, scope);
}

function visit(walk: Walk, node: Template, scope: Scope): void {
  const tag = tagOf(node);
  const isPrinted = tag === undefined || tag === "assign";
  const values = [...(node.arguments?.() ?? [])];
  for (const value of values) note(walk, scope, value, isPrinted);
  for (const name of node.localScope?.() ?? []) walk.assigned.add(String(name.content));
  if (tag === "block" && isFilled(walk, node)) return;
  const compared = COMPARING_TAGS.has(tag ?? "") ? values.filter((value) => compares(value, tag)).flatMap(usesOf) : [];
  const within: Scope = {
    names: new Set([...scope.names, ...(node.blockScope?.() ?? [])]),
    compared: new Set([...scope.compared, ...compared.map((use) => use.name)]),
    isCertain: scope.isCertain && !DECIDING_TAGS.has(tag ?? ""),
  };
  visitAll(walk, childrenOf(node), within);
  const partial = walk.part.partials.get(partialNameOf(node) ?? "");
  if (partial !== undefined) visitPartial(walk, node, partial, within);
}

/** A partial knows what it is given and the message's data; a layout also what the page around it assigns. */
function visitPartial(walk: Walk, node: Template, partial: ParsedPartial, scope: Scope): void {
  const { isolated, scope: given } = node.partialScope!()!;
  const names = [...given].map((name) => (typeof name === "string" ? name : name[0]));
  const isLoop = isolated && FOR_BINDING.test(node.token.getText());
  visitAll(
    {
      ...walk,
      file: partial.file,
      place: { line: 1, column: 1 },
      ...(isolated ? { assigned: new Set<string>(), blocks: new Set<string>() } : {}),
    },
    partial.nodes,
    {
      names: new Set([...(isolated ? [] : scope.names), ...names, ...(isLoop ? ["forloop"] : [])]),
      compared: scope.compared,
      isCertain: scope.isCertain && !isLoop,
    },
  );
}

const FOR_BINDING = /['"]\s+for\s/;

/** The page comes before its layout, so whoever has the block first fills it. `block.super` prints what the layout has. */
function isFilled({ blocks, part }: Walk, node: Template): boolean {
  const [name = ""] = /\w+/.exec((node.token as { readonly args?: string }).args ?? "") ?? [];
  if (blocks.has(name)) return !SUPER.test(node.token.input) && !usesSuper(part.nodes);
  blocks.add(name);
  return false;
}

const SUPER = /\bblock\.super\b/;

function usesSuper(nodes: readonly Template[]): boolean {
  return nodes.some((node) => SUPER.test(node.token.input));
}

/** What stands in them may never be printed. */
const DECIDING_TAGS = new Set(["if", "unless", "case", "for", "tablerow"]);
const COMPARING_TAGS = new Set(["if", "unless", "case"]);

function note(walk: Walk, scope: Scope, value: unknown, isPrinted: boolean): void {
  const hasDefault = value instanceof Value && value.filters.some((filter) => filter.name === "default");
  const covered =
    hasDefault && value instanceof Value ? new Set(value.initial.postfix.flatMap(usesOf).map(nameOf)) : NONE;
  for (const use of usesOf(value)) {
    if (scope.names.has(use.name) || walk.assigned.has(use.name)) continue;
    const isCovered = covered.has(use.name);
    const [line, column] = positionIn(walk, use);
    walk.found.push({
      name: use.name,
      path: use.path,
      file: walk.file,
      ...placeIn(walk.place, line, column),
      hasDefault: isCovered,
      needsValue: isPrinted && !isCovered && !scope.compared.has(use.name),
      isCertain: scope.isCertain,
    });
  }
}

function positionIn({ lines }: Walk, { token: { input, begin } }: Use): readonly [line: number, column: number] {
  const starts = lines.get(input) ?? lineStarts(input);
  lines.set(input, starts);
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (starts[middle]! <= begin) low = middle;
    else high = middle - 1;
  }
  return [low + 1, begin - starts[low]! + 1];
}

function lineStarts(text: string): readonly number[] {
  return [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)];
}

const NONE: ReadonlySet<string> = new Set();
const nameOf = (use: Use): string => use.name;

/** `case x` compares by itself; in `if` and `unless` it takes an operator or a filter, such as `size`. */
function compares(value: unknown, tag: string | undefined): boolean {
  if (tag === "case") return true;
  return value instanceof Value && (value.initial.postfix.some(TypeGuards.isOperatorToken) || value.filters.length > 0);
}

/** Every variable in a value, its filters' arguments and its indexes, by the first segment of its path. */
function usesOf(value: unknown): readonly Use[] {
  if (value instanceof Value || TypeGuards.isFilteredValueToken(value))
    return [
      ...value.initial.postfix.flatMap(usesOf),
      ...value.filters.flatMap((filter) => filter.args.flatMap(usesOf)),
    ];
  if (Array.isArray(value)) return usesOf(value[1]);
  if (TypeGuards.isRangeToken(value)) return [...usesOf(value.lhs), ...usesOf(value.rhs)];
  if (!TypeGuards.isPropertyAccessToken(value)) return [];
  const [root, ...rest] = value.props;
  const inner = [...usesOf(value.variable), ...rest.flatMap(usesOf)];
  if (value.variable !== undefined || root === undefined) return [...inner, ...usesOf(root)];
  const name = "content" in root ? String(root.content) : undefined;
  if (name === undefined) return [...inner, ...usesOf(root)];
  return [{ name, path: pathOf(name, rest), token: value }, ...inner];
}

/** As far as it can be told without the data, and without what Liquid itself knows of a value. */
function pathOf(root: string, rest: readonly object[]): string {
  const path = [root];
  for (const segment of rest) {
    const name = "content" in segment ? String(segment.content) : "";
    if (!/^[\w-]+$/.test(name) || SPECIAL_NAMES.has(name)) break;
    path.push(name);
  }
  return path.join(".");
}

const SPECIAL_NAMES = new Set(["size", "first", "last"]);
