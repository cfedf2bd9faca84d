// A value in a template (`items[0].title | upcase`, `a == "x" and b`) as a function of the scope. Paths, operators and
// `default` are done by hand; other filters are liquidjs's own functions, called without its machinery; what is rare is
// evaluated by liquidjs in the same context. Reads own properties only. The data is JSON: no functions, no dates.

import {
  type Context,
  Drop,
  evalToken,
  type Filter,
  type FilterImplOptions,
  filters as liquidFilters,
  type Liquid,
  type PropertyAccessToken,
  type RangeToken,
  type Token,
  toValue,
  toValueSync,
  TypeGuards,
  type Value,
} from "liquidjs";
import { LITERAL_TESTS, OPERATORS } from "./compare-values.ts";
import type { MergeScope } from "./compiled-template.ts";
import { contextOf, type LoopState } from "./merge-scope.ts";
import type { Read, TemplatePart } from "./template-part.ts";

/** `filters`: all of the value's, or those that are to be applied here. */
export function compileValue(part: TemplatePart, value: Value, filters: readonly Filter[] = value.filters): Read {
  const { initial } = value;
  const plain = compileExpression(part, initial.postfix);
  const read = plain ?? ((scope) => toValueSync(initial.evaluate(contextOf(scope, part.engine))));
  return filters.reduce((inner: Read, filter) => compileFilter(part, filter, inner), read);
}

/** A single operand. */
export function compileToken(part: TemplatePart, token: Token): Read {
  if (TypeGuards.isQuotedToken(token) || TypeGuards.isNumberToken(token) || TypeGuards.isLiteralToken(token)) {
    const { content } = token;
    return () => content;
  }
  if (TypeGuards.isRangeToken(token)) return compileRange(part, token);
  const path = TypeGuards.isPropertyAccessToken(token) ? compilePath(part, token) : undefined;
  return path ?? ((scope) => toValueSync(evalToken(token, contextOf(scope, part.engine))));
}

/** Undefined when operators and operands do not add up to one value; Liquid makes something of that, too. */
function compileExpression(part: TemplatePart, postfix: readonly Token[]): Read | undefined {
  const operands: Operand[] = [];
  for (const token of postfix) {
    if (!TypeGuards.isOperatorToken(token)) {
      operands.push({ read: compileToken(part, token), token });
      continue;
    }
    const operator = OPERATORS[token.operator];
    const right = operands.pop();
    const left = operands.pop();
    if (operator === undefined || left === undefined || right === undefined) return undefined;
    operands.push({ read: compileComparison(token.operator, left, right), token });
  }
  return operands.length === 1 ? operands[0]!.read : undefined;
}

interface Operand {
  readonly read: Read;
  readonly token: Token;
}

/** Both sides are always evaluated, as in Liquid. */
function compileComparison(name: string, left: Operand, right: Operand): Read {
  const operator = OPERATORS[name]!;
  const readLeft = left.read;
  const readRight = right.read;
  const literal = TypeGuards.isLiteralToken(right.token) ? LITERAL_TESTS[right.token.literal] : undefined;
  if (literal === undefined || !(name === "==" || name === "!="))
    return (scope) => operator(readLeft(scope), readRight(scope));
  const isWanted = name === "==";
  return (scope) => {
    const value = readLeft(scope);
    return value instanceof Drop ? operator(value, readRight(scope)) : literal(value) === isWanted;
  };
}

function compilePath(part: TemplatePart, token: PropertyAccessToken): Read | undefined {
  const [root, ...rest] = token.props;
  if (token.variable !== undefined || root === undefined) return undefined;
  if (!TypeGuards.isWordToken(root) && !TypeGuards.isQuotedToken(root)) return undefined;
  const depth = loopOf(part, root.content);
  const [key] = rest;
  if (root.content === "forloop" && depth !== undefined && rest.length === 1 && TypeGuards.isWordToken(key)) {
    const counter = LOOP_COUNTERS[key.content];
    if (counter !== undefined) return (scope) => counter(scope.frames[depth]!["forloop"] as LoopState);
  }
  const read = depth === undefined ? readName(part.engine, root.content) : readFrame(depth, root.content);
  return rest.reduce((inner: Read, prop) => readProperty(part, inner, prop), read);
}

/** Which of the loops around here names the variable; the innermost counts. */
function loopOf({ loops }: TemplatePart, name: string): number | undefined {
  const depth = name === "forloop" ? loops.length - 1 : loops.lastIndexOf(name);
  return depth < 0 ? undefined : depth;
}

const LOOP_COUNTERS: Readonly<Record<string, (loop: LoopState) => unknown>> = Object.assign(
  Object.create(null) as object,
  {
    index: (loop: LoopState) => loop.index(),
    index0: (loop: LoopState) => loop.index0(),
    first: (loop: LoopState) => loop.first(),
    last: (loop: LoopState) => loop.last(),
    rindex: (loop: LoopState) => loop.rindex(),
    rindex0: (loop: LoopState) => loop.rindex0(),
    length: (loop: LoopState) => loop.length,
  },
);

function readFrame(depth: number, name: string): Read {
  return (scope) => scope.frames[depth]![name];
}

/** What was assigned goes before the data. Liquid gives `size` a meaning also where nobody has it. */
function readName(engine: Liquid, name: string): Read {
  if (name === "size") return (scope) => contextOf(scope, engine).getSync([name]);
  return ({ context, data }) => {
    if (context !== undefined) {
      const assigned = context.bottom();
      if (name in assigned) return assigned[name];
    }
    return Object.hasOwn(data, name) ? data[name] : undefined;
  };
}

function readProperty(part: TemplatePart, inner: Read, prop: Token): Read {
  if ((TypeGuards.isWordToken(prop) || TypeGuards.isQuotedToken(prop)) && !SPECIAL_KEYS.has(prop.content)) {
    const name = prop.content;
    return (scope) => {
      const value = inner(scope);
      // A plain object, which is what nearly every path goes through.
      if (typeof value !== "object" || value === null || value instanceof Drop)
        return propertyOf(part, scope, value, name);
      return Object.hasOwn(value, name) ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
    };
  }
  if (TypeGuards.isWordToken(prop)) return (scope) => propertyOf(part, scope, inner(scope), prop.content);
  const key = compileToken(part, prop);
  return (scope) => propertyOf(part, scope, inner(scope), toValue(key(scope)));
}

/** Liquid gives these a meaning of their own. */
const SPECIAL_KEYS = new Set(["size", "first", "last"]);

function propertyOf({ engine }: TemplatePart, scope: MergeScope, value: unknown, key: unknown): unknown {
  if (value === null || value === undefined) return value;
  return toValueSync(contextOf(scope, engine).readProperty(value, key as string)) as unknown;
}

function compileFilter(part: TemplatePart, filter: Filter, inner: Read): Read {
  const { engine } = part;
  const handler = handlerOf(engine, filter);
  if (handler === undefined) return (scope) => toValueSync(filter.render(inner(scope), contextOf(scope, engine)));
  if (filter.name === "raw") return inner;
  const args = filter.args.map((arg) => compileArgument(part, arg));
  const [only, ...more] = args;
  if (filter.name === "default" && only !== undefined && more.length === 0) return withDefault(inner, only);
  return (scope) => {
    const value = inner(scope);
    const given = args.map((arg) => arg(scope));
    return toValueSync(handler.call({ context: contextOf(scope, engine), liquid: engine }, value, ...given));
  };
}

/** Liquid's own filters know their context and engine, and not where they stand in the template. */
type Handler = (
  this: { readonly context: Context; readonly liquid: Liquid },
  value: unknown,
  ...given: unknown[]
) => unknown;

/** Undefined for a filter that is not liquidjs's own. */
function handlerOf(engine: Liquid, { name }: Filter): Handler | undefined {
  const handler = functionOf(engine.filters[name]);
  return handler === functionOf(liquidFilters[name]) ? handler : undefined;
}

function functionOf(filter: FilterImplOptions | undefined): Handler | undefined {
  return (typeof filter === "function" ? filter : filter?.handler) as Handler | undefined;
}

function compileArgument(part: TemplatePart, arg: Filter["args"][number]): Read {
  if (!Array.isArray(arg)) return compileToken(part, arg);
  const [name, token] = arg;
  const read: Read = token === undefined ? () => undefined : compileToken(part, token);
  return (scope) => [name, read(scope)];
}

/** The fallback is always evaluated, as in Liquid. */
function withDefault(inner: Read, only: Read): Read {
  return (scope) => {
    const value = inner(scope);
    const fallback = only(scope);
    if (typeof value === "string") return value === "" ? fallback : value;
    const plain: unknown = toValue(value);
    if (typeof plain === "string" || Array.isArray(plain)) return plain.length > 0 ? plain : fallback;
    return plain === false || plain === null || plain === undefined ? fallback : plain;
  };
}

/** Both ends count. Liquid's limit of memory is asked first, as in Liquid. */
function compileRange(part: TemplatePart, { lhs, rhs }: RangeToken): Read<readonly number[]> {
  const readLow = compileToken(part, lhs);
  const readHigh = compileToken(part, rhs);
  return (scope) => {
    const low = toValue(readLow(scope)) as number;
    const high = toValue(readHigh(scope)) as number;
    contextOf(scope, part.engine).memoryLimit.use(high - low + 1);
    return numbersBetween(+low, +high + 1);
  };
}

/** Past the safe integers, adding one leaves a number as it is, and the list would never end. */
function numbersBetween(start: number, end: number): readonly number[] {
  if (start < end && (start < Number.MIN_SAFE_INTEGER || end > Number.MAX_SAFE_INTEGER))
    throw new Error("a range ends at numbers that are too large to count");
  const numbers: number[] = [];
  for (let number = start; number < end; number++) numbers.push(number);
  return numbers;
}
