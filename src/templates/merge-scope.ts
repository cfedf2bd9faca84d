// What one part's filling in knows: the recipient's data, the loops that are under way, and, as soon as something needs
// it, Liquid's own context. Everything that outlives a node (assignments, loops' variables, `break`, the limits of time
// and memory) stands in that context, so what is compiled and what is left to Liquid see the same. Made anew for every
// part of every message; the data is never written to.

import { Drop, toValueSync, type Context, type Liquid } from "liquidjs";
import type { MergeData, MergeScope } from "./compiled-template.ts";
import { openContext } from "./liquid-engine.ts";

export function openScope(data: MergeData): MergeScope {
  return { data, context: undefined, frames: [], isStopped: false, rounds: 0 };
}

export function contextOf(scope: MergeScope, engine: Liquid): Context {
  scope.context ??= openContext(engine, scope.data);
  return scope.context;
}

/** A loop's own variables, where Liquid's scope has them too; it has no prototype that a name could reach. */
export type Frame = Record<string, unknown>;

export function pushFrame(scope: MergeScope, context: Context, variable: string, forloop: LoopState): Frame {
  const frame = Object.assign(Object.create(null) as Frame, { forloop, [variable]: undefined });
  scope.frames.push(frame);
  context.push(frame);
  return frame;
}

export function popFrame(scope: MergeScope, context: Context): void {
  scope.frames.pop();
  context.pop();
}

/** Rounds of all loops of one part, nested ones included. Fewer than that may take longer than Liquid's limit of time. */
export const LOOP_ROUNDS_MAX = 1_000_000;

/** Counts a round, and looks at Liquid's clock now and then. */
export function countRound(scope: MergeScope, context: Context, engine: Liquid): void {
  scope.rounds++;
  if (scope.rounds > LOOP_ROUNDS_MAX) throw new Error(`the loops go round more than ${LOOP_ROUNDS_MAX} times`);
  if (scope.rounds % ROUNDS_PER_LOOK === 0) checkTime(context, engine);
}

/** A round is short, unless its values are long. */
const ROUNDS_PER_LOOK = 32;

/** Liquid looks at its limit of time before it renders anything, also when that is nothing. */
function checkTime(context: Context, engine: Liquid): void {
  toValueSync(engine.renderer.renderTemplates([], context));
}

/** What a template reads of `forloop`; the fields and their order are those of Liquid's, which prints them as JSON. */
export class LoopState extends Drop {
  i = 0;
  readonly length: number;
  readonly name: string;

  constructor(length: number, name: string) {
    super();
    this.length = length;
    this.name = name;
  }

  next(): void {
    this.i++;
  }

  index(): number {
    return this.i + 1;
  }

  index0(): number {
    return this.i;
  }

  first(): boolean {
    return this.i === 0;
  }

  last(): boolean {
    return this.i === this.length - 1;
  }

  rindex(): number {
    return this.length - this.i;
  }

  rindex0(): number {
    return this.length - this.i - 1;
  }

  override valueOf(): string {
    return JSON.stringify(this);
  }
}
