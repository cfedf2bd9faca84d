// The shapes of lanes and outlets.

import { ANY_KEY, Type, type Static } from "../../platform/plain-schema.ts";
import { nullable } from "./email-schema.ts";

export const NAME_PARAMS = Type.Object({ name: Type.String() });
export interface NameParams {
  readonly name: string;
}

const LANE = Type.Object({
  name: Type.String(),
  is_paused: Type.Boolean(),
  paused_at: nullable(Type.String()),
  full_because: nullable(Type.String({ description: "why it takes no more mail for now" })),
  priority: nullable(Type.String({ description: "null: it is not in the configuration any more" })),
  outlets: Type.Array(Type.String()),
  dispatchers: Type.Integer({ description: "that are at work" }),
  messages: Type.Record(ANY_KEY, Type.Integer(), { description: "how many are in which state" }),
});
export type LaneAnswer = Static<typeof LANE>;

export const LANES = Type.Object({ object: Type.Literal("list"), data: Type.Array(LANE) });

const LIMIT = Type.Object({
  code: Type.String(),
  limits: Type.String(),
  lanes: Type.Array(Type.String()),
  destination: nullable(Type.String()),
  sentence: Type.String(),
  remedy: Type.String(),
});

const OUTLET = Type.Object({
  name: Type.String(),
  type: Type.String(),
  lanes: Type.Array(Type.String()),
  is_paused: Type.Boolean({ description: "for some lane, or for all" }),
  window: Type.Integer({ description: "hand-overs that may be open" }),
  open: Type.Integer({ description: "hand-overs that are open" }),
  limits: Type.Array(LIMIT, { description: "what stops or limits it" }),
});

export const OUTLETS = Type.Object({ object: Type.Literal("list"), data: Type.Array(OUTLET) });

export const LANE_MOVED = Type.Object({ object: Type.Literal("lane"), name: Type.String(), is_paused: Type.Boolean() });

export const OUTLET_ORDER = Type.Union([
  Type.Object(
    { lane: Type.Optional(nullable(Type.String({ description: "only for this lane; by default for all" }))) },
    { additionalProperties: false },
  ),
  Type.Null(),
]);
export type OutletOrder = Static<typeof OUTLET_ORDER>;

export const OUTLET_MOVED = Type.Object({
  object: Type.Literal("outlet"),
  name: Type.String(),
  lane: nullable(Type.String({ description: "null: all of them" })),
  is_paused: Type.Boolean(),
  was_paused: Type.Boolean(),
});
