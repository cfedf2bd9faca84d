// The shapes of campaigns: what is said of one, and what it answers. A campaign is told as `postlane campaign status --json`
// tells it.

import Type, { type Static } from "typebox";
import { STATES } from "../../mail/state.ts";
import { nullable } from "./email-schema.ts";
import { LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX } from "./http-limits.ts";

export const CAMPAIGN_PARAMS = Type.Object({ campaign: Type.String({ description: "its id or its name" }) });
export interface CampaignParams {
  readonly campaign: string;
}

export const CAMPAIGNS_QUERY = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: LIST_LIMIT_MAX, description: `by default ${LIST_LIMIT_DEFAULT}` }),
    ),
    before: Type.Optional(Type.String({ description: "the id of the last campaign of the page before" })),
  },
  { additionalProperties: false },
);
export type CampaignsQuery = Static<typeof CAMPAIGNS_QUERY>;

const STATUS = Type.String({
  description: "importing, draft, scheduled, running, paused, canceled or finished",
});

const BOOKS = Type.Object({
  accepted: Type.Integer(),
  waiting: Type.Integer(),
  settled: Type.Integer(),
  states: Type.Object(Object.fromEntries(STATES.map((state) => [state, Type.Integer()]))),
  adds_up: Type.Boolean(),
});

const CAMPAIGN = {
  id: Type.String({ description: "cmp_ and a number" }),
  name: Type.String(),
  lane: Type.String(),
  status: STATUS,
  created_at: Type.String(),
  started_at: nullable(Type.String()),
  canceled_at: nullable(Type.String()),
  rows: Type.Integer({ description: "of its list: rejected, doubled, accepted and not_accepted together" }),
  rejected: Type.Integer(),
  doubled: Type.Integer(),
  not_accepted: Type.Integer({ description: "on its list, and not accepted for it" }),
  unmade: Type.Integer({ description: "accepted, and no message is made of them yet" }),
  list: nullable(Type.String({ description: "what people unsubscribe from" })),
  no_unsubscribe: nullable(Type.String({ description: "why it has no way to unsubscribe" })),
  books: BOOKS,
};

export const CAMPAIGN_TOLD = Type.Object({ object: Type.Literal("campaign"), ...CAMPAIGN });
export const CAMPAIGNS = Type.Object({
  object: Type.Literal("list"),
  has_more: Type.Boolean(),
  data: Type.Array(Type.Object(CAMPAIGN)),
});

const MOVED = { object: Type.Literal("campaign"), id: Type.String(), name: Type.String(), status: STATUS };

export const CAMPAIGN_MOVED = Type.Object({
  ...MOVED,
  was_so: Type.Boolean({ description: "it was asked for what is so already" }),
  withdrawn: Type.Integer({ description: "by cancel: accepted, and no message was made of them yet" }),
});
