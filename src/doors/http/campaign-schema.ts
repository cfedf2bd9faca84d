// The shapes of campaigns: what is said of one, and what it answers. A campaign is told as `postlane campaign status --json`
// tells it.

import { ALSO } from "../../campaigns/send-rest.ts";
import { CANARY_LIMIT_DEFAULT, CANARY_WAIT_DEFAULT } from "../../campaigns/start-wish.ts";
import { STATES } from "../../mail/state.ts";
import { ANY_KEY, Type, type Static } from "../../platform/plain-schema.ts";
import { PEOPLE_WANTED } from "../../reports/export-people.ts";
import { nullable, optional } from "./email-schema.ts";
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
  finished_at: nullable(Type.String()),
  canceled_at: nullable(Type.String()),
  rest_of: nullable(Type.String({ description: "the campaign whose rest it sends" })),
  rows: Type.Integer({ description: "of its list: rejected, doubled, accepted and not_accepted together" }),
  rejected: Type.Integer(),
  doubled: Type.Integer(),
  not_accepted: Type.Integer({ description: "on its list, and not accepted for it" }),
  unmade: Type.Integer({ description: "accepted, and no message is made of them yet" }),
  version: Type.Integer({ description: "of its template, from 1" }),
  paused_because: nullable(
    Type.Object(
      { code: Type.String(), evidence: Type.Record(ANY_KEY, Type.Number()) },
      { description: "which rule stopped it; null: a person, or it is not paused" },
    ),
  ),
  pace_per_s: nullable(Type.Number()),
  canary: nullable(
    Type.Object({
      state: Type.String({ description: "sending, watching, passed or stopped" }),
      rows: Type.Integer({ description: "the first so many recipients" }),
      wait_s: Type.Number(),
      limit: Type.Number({ description: "share of them that may fail, 0 to 1" }),
      tried_at: nullable(Type.String()),
      passes_at: nullable(Type.String()),
    }),
  ),
  list: nullable(Type.String({ description: "what people unsubscribe from" })),
  no_unsubscribe: nullable(Type.String({ description: "why it has no way to unsubscribe" })),
  books: BOOKS,
};

export const CAMPAIGN_TOLD = Type.Object({ object: Type.Literal("campaign"), ...CAMPAIGN });
const VERSION = Type.Object({
  version: Type.Integer(),
  in_force_at: Type.String(),
  messages: Type.Integer({ description: "whose latest attempt had it" }),
  first_at: nullable(Type.String()),
  last_at: nullable(Type.String()),
});

export const CAMPAIGN_REPORT = Type.Object({
  object: Type.Literal("campaign_report"),
  ...CAMPAIGN,
  versions: nullable(Type.Array(VERSION, { description: "null: there is only one" })),
  suppressed_because: nullable(
    Type.Array(Type.Object({ reason: Type.String(), n: Type.Integer() }), {
      description: "null: nobody was, or they are too many to be looked through",
    }),
  ),
  rests: Type.Array(Type.Object(CAMPAIGN), { description: "the campaigns that send its rest, the oldest first" }),
  family: nullable(
    Type.Object(
      { recipients: Type.Integer(), not_accepted: Type.Integer(), books: BOOKS },
      { description: "with its rests, each person once; null: it has none" },
    ),
  ),
});

export const CAMPAIGNS = Type.Object({
  object: Type.Literal("list"),
  has_more: Type.Boolean(),
  data: Type.Array(Type.Object(CAMPAIGN)),
});

export const NEW_CAMPAIGN = Type.Object(
  {
    name: Type.String({ description: "what it is called; no other has the name" }),
    list: Type.String({ description: "the name of a kept list, see GET /lists" }),
    template: Type.String({ description: "a pushed template, by name or name@version" }),
    lane: optional(Type.String(), "by default the key's first lane, or bulk"),
    from: optional(Type.String(), "one mailbox; goes before the template's own"),
    list_name: optional(Type.String(), "what recipients unsubscribe from; by default the list's name"),
    no_unsubscribe: optional(Type.String(), "why it goes without a way to unsubscribe; kept with it"),
  },
  { additionalProperties: false },
);
export type NewCampaignBody = Static<typeof NEW_CAMPAIGN>;

export const CAMPAIGN_EDIT = Type.Object(
  {
    template: Type.String({ description: "a pushed template, by name or name@version" }),
    from: optional(Type.String(), "one mailbox; by default the template's own, or as it was"),
  },
  { additionalProperties: false },
);
export type CampaignEditBody = Static<typeof CAMPAIGN_EDIT>;

const CANARY = Type.Object(
  {
    share: Type.String({ description: 'which part of the list is tried first, such as "1 %"' }),
    wait: optional(Type.String(), `how long they are watched, such as "${CANARY_WAIT_DEFAULT}", the default`),
    limit: optional(Type.String(), `how many of them may fail, such as "${CANARY_LIMIT_DEFAULT}", the default`),
  },
  { additionalProperties: false },
);

export const CAMPAIGN_START = Type.Union([
  Type.Object(
    {
      at: optional(Type.String(), "ISO 8601 with a zone; by default at once"),
      local_time: optional(Type.String(), 'such as "2027-01-31T09:00", in the time zone of each recipient'),
      time_zone: optional(Type.String(), 'with local_time: of recipients who name none, such as "Europe/Vienna"'),
      pace: optional(Type.String(), 'such as "50,000/hr"; by default as the governor permits'),
      canary: optional(CANARY, "a part that is tried first; when it fails, the rest waits for a person"),
    },
    { additionalProperties: false },
  ),
  Type.Null(),
]);
export type CampaignStartBody = Static<typeof CAMPAIGN_START>;

export const CAMPAIGN_REST = Type.Union([
  Type.Object(
    {
      name: optional(Type.String(), "by default the campaign's with -rest behind it"),
      also: optional(
        Type.Array(Type.Enum([...ALSO])),
        `states whose people get it, too, beside canceled and expired: ${ALSO.join(", ")}`,
      ),
      draft: optional(Type.Boolean(), "true: it is not started"),
    },
    { additionalProperties: false },
  ),
  Type.Null(),
]);
export type CampaignRestBody = Static<typeof CAMPAIGN_REST>;

export const PEOPLE_QUERY = Type.Object(
  { state: Type.String({ description: `who: ${PEOPLE_WANTED}` }) },
  { additionalProperties: false },
);
export type PeopleQuery = Static<typeof PEOPLE_QUERY>;

export const PEOPLE_CSV = {
  description: "CSV with a header row",
  content: { "text/csv": { schema: Type.String() } },
};

const MOVED = { object: Type.Literal("campaign"), id: Type.String(), name: Type.String(), status: STATUS };

export const CAMPAIGN_CREATED = Type.Object(MOVED);

export const CAMPAIGN_EDITED = Type.Object({
  object: Type.Literal("campaign"),
  id: Type.String(),
  name: Type.String(),
  version: Type.Integer({ description: "of its template, from 1" }),
  is_new: Type.Boolean({ description: "false: it has this template already" }),
});

export const CAMPAIGN_STARTED = Type.Object({
  ...MOVED,
  accepted: Type.Integer({ description: "recipients" }),
  canary_rows: Type.Integer({ description: "that are tried first; 0: there is no canary" }),
  waves: Type.Array(
    Type.Object({
      time_zone: nullable(Type.String({ description: "null: all, or those who name none" })),
      due_at: Type.String(),
      rows: Type.Integer(),
    }),
    { description: "recipients whose time comes at one instant" },
  ),
});

export const REST_MADE = Type.Object({
  ...MOVED,
  rest_of: Type.String(),
  recipients: Type.Integer(),
  stood: Type.Record(ANY_KEY, Type.Integer(), { description: "how they stood, by state" }),
  left: Type.Record(ANY_KEY, Type.Integer(), { description: "who gets nothing, by state" }),
});

export const CAMPAIGN_MOVED = Type.Object({
  ...MOVED,
  was_so: Type.Boolean({ description: "it was asked for what is so already" }),
  withdrawn: Type.Integer({ description: "by cancel: accepted, and no message was made of them yet" }),
});
