// `for`: its first body once for each element, its second one when there are none. Variables stand in a frame that
// Liquid's context has, too. Loops end: their rounds are counted, Liquid's limit of time is asked, and what they print
// is measured by whoever puts it.

import { type Context, type ForTag, toValue, TypeGuards } from "liquidjs";
import type { Block, MergeScope, Piece } from "./compiled-template.ts";
import { compileToken } from "./compile-value.ts";
import { contextOf, countRound, LoopState, popFrame, pushFrame } from "./merge-scope.ts";
import { placed, type Read, type TemplatePart } from "./template-part.ts";

/** A loop's body, where its variable is known. Undefined when liquidjs has to do the loop. */
export function loopPart(part: TemplatePart, { variable, token }: ForTag): TemplatePart | undefined {
  // A variable of that name would hide what Liquid counts with; `continue` means where an earlier loop ended.
  if (variable === "forloop" || (TypeGuards.isTagToken(token) && /\bcontinue\b/.test(token.args))) return undefined;
  return { ...part, loops: [...part.loops, variable] };
}

export function compileLoop(
  part: TemplatePart,
  node: ForTag,
  body: readonly Piece[],
  otherwise: readonly Piece[],
): Block {
  const { engine } = part;
  const { variable } = node;
  const name = `${variable}-${node.collection.getText()}`;
  const readItems = placed(part, node, compileItems(part, node, `continue-${name}`));
  const count = placed(part, node, (scope) => countRound(scope, contextOf(scope, engine), engine));
  return {
    bodies: [body, otherwise],
    run(scope, put) {
      const items = readItems(scope);
      if (items === undefined) return put(OTHERWISE);
      const context = contextOf(scope, engine);
      const forloop = new LoopState(items.length, name);
      const frame = pushFrame(scope, context, variable, forloop);
      for (const item of items) {
        count(scope);
        frame[variable] = item;
        put(BODY);
        if (scope.isStopped && wasBroken(scope, context)) break;
        forloop.next();
      }
      popFrame(scope, context);
    },
  };
}

const BODY = 0;
const OTHERWISE = 1;

/** A `break` or `continue` has done its work when its round has ended. */
function wasBroken(scope: MergeScope, context: Context): boolean {
  const isBroken = context.breakCalled;
  context.breakCalled = false;
  context.continueCalled = false;
  scope.isStopped = false;
  return isBroken;
}

/** Undefined when the collection is empty, which is not the same as when `limit` leaves nothing of it. */
function compileItems(part: TemplatePart, node: ForTag, register: string): Read<readonly unknown[] | undefined> {
  const readAll = compileToken(part, node.collection);
  const modifiers = compileModifiers(part, node);
  return (scope) => {
    const all = elementsOf(readAll(scope));
    if (all.length === 0) return undefined;
    const { offset, limit, reversed } = modifiers(scope);
    let items = offset === undefined ? all : all.slice(offset as number);
    if (limit !== undefined) items = items.slice(0, limit as number);
    if (reversed !== undefined) items = items.toReversed();
    // Where a later `offset: continue` begins. Liquid adds whatever the offset is, so that a text gets longer.
    contextOf(scope, part.engine).setRegister(register, ((offset || 0) as number) + items.length);
    return items;
  };
}

/** Lists as they are; a text is one element, an object its names and values; whatever else has none. */
function elementsOf(value: unknown): readonly unknown[] {
  const plain: unknown = toValue(value);
  if (Array.isArray(plain)) return plain;
  if (typeof plain === "string") return plain === "" ? [] : [plain];
  return typeof plain === "object" && plain !== null ? Object.entries(plain) : [];
}

interface Modifiers {
  readonly offset: unknown;
  readonly limit: unknown;
  readonly reversed: unknown;
}

/** What is there but has no value is true; what is nil in the template or the data is not there. */
function compileModifiers(part: TemplatePart, { hash }: ForTag): Read<Modifiers> {
  const given = Object.entries(hash.hash).map(([name, token]): readonly [string, Read] => [
    name,
    token === undefined ? () => true : compileToken(part, token),
  ]);
  const reads = new Map(given);
  const none: Read = () => undefined;
  const offset = reads.get("offset") ?? none;
  const limit = reads.get("limit") ?? none;
  const reversed = reads.get("reversed") ?? none;
  return (scope) => ({ offset: offset(scope), limit: limit(scope), reversed: reversed(scope) });
}
