// Liquid's operators, by hand for plain values. Each answers what liquidjs answers: only false and nil are not true, an
// empty text is; lists are equal by their elements; whatever else is compared is compared as JavaScript does it. Values
// with a comparison of their own (Liquid's drops: nil, empty, blank, forloop) are compared by liquidjs itself.

import { defaultOperators, Drop, type LiteralToken, toValue, toValueSync } from "liquidjs";

export type Operator = (left: unknown, right: unknown) => boolean;

export const OPERATORS: Readonly<Record<string, Operator>> = {
  "==": areEqual,
  "!=": (left, right) => !areEqual(left, right),
  // JavaScript's comparison of whatever comes, as in Liquid.
  ">": orDrops(">", (left, right) => (left as number) > (right as number)),
  "<": orDrops("<", (left, right) => (left as number) < (right as number)),
  ">=": orDrops(">=", (left, right) => (left as number) >= (right as number)),
  "<=": orDrops("<=", (left, right) => (left as number) <= (right as number)),
  contains: orDrops("contains", contains),
  and: (left, right) => isTruthy(left) && isTruthy(right),
  or: (left, right) => isTruthy(left) || isTruthy(right),
};

export function isTruthy(value: unknown): boolean {
  const plain: unknown = value instanceof Drop ? toValue(value) : value;
  return plain !== false && plain !== undefined && plain !== null;
}

export function areEqual(left: unknown, right: unknown): boolean {
  if (left instanceof Drop || right instanceof Drop) return byLiquid("==", left, right);
  if (!Array.isArray(left)) return left === right;
  return (
    Array.isArray(right) && left.length === right.length && left.every((value, index) => areEqual(value, right[index]))
  );
}

/** What `== nil`, `== empty` and `== blank` ask of a plain value: the comparisons that templates make most. */
export const LITERAL_TESTS: Readonly<Partial<Record<LiteralToken["literal"], (value: unknown) => boolean>>> = {
  nil: isNil,
  null: isNil,
  empty: isEmpty,
  blank: isBlank,
};

function orDrops(name: string, operator: Operator): Operator {
  return (left, right) =>
    left instanceof Drop || right instanceof Drop ? byLiquid(name, left, right) : operator(left, right);
}

function byLiquid(name: string, left: unknown, right: unknown): boolean {
  const operator = defaultOperators[name] as (left: unknown, right: unknown) => unknown;
  return toValueSync(operator(left, right)) === true;
}

function contains(left: unknown, right: unknown): boolean {
  if (Array.isArray(left)) return left.some((value) => areEqual(value, right));
  // A text is searched for whatever the other value is as a text: nil, too.
  return typeof left === "string" && left.includes(right as string);
}

function isNil(value: unknown): boolean {
  return value === undefined || value === null;
}

function isEmpty(value: unknown): boolean {
  if (typeof value === "string" || Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function isBlank(value: unknown): boolean {
  if (typeof value === "string") return value.trim() === "";
  return value === false || isNil(value) || isEmpty(value);
}
