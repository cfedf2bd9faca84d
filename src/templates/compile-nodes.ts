// A list of nodes as pieces: constants, what is printed, and blocks of pieces. A tag that is not known here, or not in
// this form, is left to liquidjs, in the same context; so a template may use whatever its engine knows, and only that
// node is slow.

import {
  AssignTag,
  BreakTag,
  CaseTag,
  type Context,
  ContinueTag,
  ForTag,
  IfTag,
  type Output,
  type Template,
  toValueSync,
  TypeGuards,
  UnlessTag,
  Value,
} from "liquidjs";
import { bodiesOf, compileCase, compileCondition } from "./compile-condition.ts";
import { compileLoop, loopPart } from "./compile-loop.ts";
import { compileOutput } from "./compile-output.ts";
import { compileValue } from "./compile-value.ts";
import type { Block, Piece } from "./compiled-template.ts";
import { openContext, renderInContext } from "./liquid-engine.ts";
import { contextOf } from "./merge-scope.ts";
import { placed, type TemplatePart } from "./template-part.ts";

export function compileNodes(part: TemplatePart, nodes: readonly Template[]): readonly Piece[] {
  return mergeConstants(nodes.map((node) => compileNode(part, node) ?? leftToLiquid(part, node)));
}

function compileNode(part: TemplatePart, node: Template): Piece | undefined {
  if (isConstant(node)) return renderInContext(part.engine, [node], openContext(part.engine, {}));
  if (TypeGuards.isOutputToken(node.token)) return compileOutput(part, node as Output);
  if (node instanceof ForTag) return compileFor(part, node);
  if (node instanceof IfTag || node instanceof UnlessTag)
    return compileCondition(part, node, compileBodies(part, node));
  if (node instanceof CaseTag) return mayStop(node) ? undefined : compileCase(part, node, compileBodies(part, node));
  if (node instanceof AssignTag) return compileAssign(part, node);
  if (node instanceof BreakTag) return compileStop(part, (context) => (context.breakCalled = true));
  if (node instanceof ContinueTag) return compileStop(part, (context) => (context.continueCalled = true));
  return undefined;
}

const CONSTANT_TAGS = new Set(["raw", "comment", "#"]);

function isConstant(node: Template): boolean {
  return (
    TypeGuards.isHTMLToken(node.token) || (TypeGuards.isTagToken(node.token) && CONSTANT_TAGS.has(node.token.name))
  );
}

function compileBodies(part: TemplatePart, node: IfTag | UnlessTag | CaseTag): readonly (readonly Piece[])[] {
  return bodiesOf(node).map((nodes) => compileNodes(part, nodes));
}

function compileFor(part: TemplatePart, node: ForTag): Block | undefined {
  const inner = loopPart(part, node);
  return inner && compileLoop(part, node, compileNodes(inner, node.templates), compileNodes(part, node.elseTemplates));
}

/** Tags after which the nodes behind them are still put. */
const STEADY_TAGS = new Set(["if", "unless", "case", "for", "assign", "raw", "comment", "#"]);

/** After a `break` in a branch of a `case`, liquidjs still puts the first node of the next branch that matches. */
function mayStop(node: Template): boolean {
  if (!TypeGuards.isTagToken(node.token)) return false;
  if (!STEADY_TAGS.has(node.token.name)) return true;
  const children: Template[] = node.children ? toValueSync(node.children(false, true)) : [];
  return children.some(mayStop);
}

function compileAssign(part: TemplatePart, node: AssignTag): Piece | undefined {
  const [value] = node.arguments();
  const [name] = node.localScope();
  if (!(value instanceof Value) || name === undefined) return undefined;
  const read = compileValue(part, value);
  return placed(part, node, (scope) => {
    const assigned = read(scope);
    contextOf(scope, part.engine).bottom()[name.content] = assigned;
    return "";
  });
}

function compileStop({ engine }: TemplatePart, stop: (context: Context) => void): Piece {
  return (scope) => {
    stop(contextOf(scope, engine));
    scope.isStopped = true;
    return "";
  };
}

function leftToLiquid(part: TemplatePart, node: Template): Piece {
  return placed(part, node, (scope) => {
    const context = contextOf(scope, part.engine);
    const text = renderInContext(part.engine, [node], context);
    scope.isStopped = context.breakCalled || context.continueCalled;
    return text;
  });
}

function mergeConstants(pieces: readonly Piece[]): readonly Piece[] {
  const merged: Piece[] = [];
  for (const piece of pieces) {
    const last = merged.at(-1);
    if (typeof piece === "string" && typeof last === "string") merged[merged.length - 1] = last + piece;
    else merged.push(piece);
  }
  return merged;
}
