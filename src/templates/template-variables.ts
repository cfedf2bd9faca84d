// Which of the list's columns a template uses, and where. What a template assigns itself and what a loop names are not
// columns. A use needs a value when an empty cell would leave a hole: it is printed or assigned without `default`, and
// no condition around it compares it (a bare `{% if first_name %}` does not count: in Liquid an empty text is true).

import { type Template, toValueSync, TypeGuards, Value } from "liquidjs";
import { type ParsedPart, type ParsedTemplate, placeIn } from "./parse-template.ts";

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
}

export function templateVariables(template: ParsedTemplate): readonly TemplateVariable[] {
  return template.parts.flatMap((part) => {
    const walk: Walk = { part, found: [], assigned: new Set() };
    visitAll(walk, part.nodes, { names: new Set(), compared: new Set() });
    return walk.found;
  });
}

/** The columns in which an empty cell stops a check, by name and without doubles. */
export function requiredVariables(template: ParsedTemplate): readonly string[] {
  const needed = templateVariables(template).filter((variable) => variable.needsValue);
  return [...new Set(needed.map((variable) => variable.name))];
}

interface Walk {
  readonly part: ParsedPart;
  readonly found: TemplateVariable[];
  /** Liquid's assignments hold from where they stand to the end of the part, whatever block they stand in. */
  readonly assigned: Set<string>;
}

interface Scope {
  readonly names: ReadonlySet<string>;
  /** Compared by a condition around here, so the template knows that they may be empty. */
  readonly compared: ReadonlySet<string>;
}

interface Use {
  readonly name: string;
  readonly position: number[];
}

function visitAll(walk: Walk, nodes: Iterable<Template>, scope: Scope): void {
  for (const node of nodes) visit(walk, node, scope);
}

function visit(walk: Walk, node: Template, scope: Scope): void {
  const tag = TypeGuards.isTagToken(node.token) ? node.token.name : undefined;
  const isPrinted = tag === undefined || tag === "assign";
  const values = [...(node.arguments?.() ?? [])];
  for (const value of values) note(walk, scope, value, isPrinted);
  for (const name of node.localScope?.() ?? []) walk.assigned.add(String(name.content));
  if (!node.children) return;
  const compared = COMPARING_TAGS.has(tag ?? "") ? values.filter((value) => compares(value, tag)).flatMap(usesOf) : [];
  const children: Template[] = toValueSync(node.children(false, true));
  visitAll(walk, children, {
    names: new Set([...scope.names, ...(node.blockScope?.() ?? [])]),
    compared: new Set([...scope.compared, ...compared.map((use) => use.name)]),
  });
}

const COMPARING_TAGS = new Set(["if", "unless", "case"]);

function note(walk: Walk, scope: Scope, value: unknown, isPrinted: boolean): void {
  const hasDefault = value instanceof Value && value.filters.some((filter) => filter.name === "default");
  const covered =
    hasDefault && value instanceof Value ? new Set(value.initial.postfix.flatMap(usesOf).map(nameOf)) : NONE;
  for (const use of usesOf(value)) {
    if (scope.names.has(use.name) || walk.assigned.has(use.name)) continue;
    const isCovered = covered.has(use.name);
    const [line, column] = use.position;
    walk.found.push({
      name: use.name,
      file: walk.part.file,
      ...placeIn(walk.part.place, line!, column!),
      hasDefault: isCovered,
      needsValue: isPrinted && !isCovered && !scope.compared.has(use.name),
    });
  }
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
  return name === undefined ? [...inner, ...usesOf(root)] : [{ name, position: value.getPosition() }, ...inner];
}
