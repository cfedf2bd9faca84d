// The shapes of suppressions.

import { Type, type Static } from "../../platform/plain-schema.ts";
import { NAME_CHARS_MAX } from "../../suppression/read-suppression.ts";
import { SUPPRESSION_REASONS, SUPPRESSION_SCOPES } from "../../suppression/suppression.ts";
import { nullable } from "./email-schema.ts";
import { LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX } from "./http-limits.ts";

const ADDRESS = "local@domain, or @domain for all of a domain";
const SCOPE = Type.Enum([...SUPPRESSION_SCOPES], {
  description: "bulk: lanes of that priority; list: mail to that list",
});
const REASON = Type.Enum([...SUPPRESSION_REASONS]);
const LIST = Type.String({ description: `with scope list: its name, up to ${NAME_CHARS_MAX} characters` });

export const SUPPRESSION_QUERY = Type.Object(
  {
    address: Type.Optional(
      Type.String({ description: `${ADDRESS}: all that holds for it, its domain included; with nothing else` }),
    ),
    domain: Type.Optional(Type.String({ description: "only addresses of this domain, and itself" })),
    reason: Type.Optional(REASON),
    list: Type.Optional(Type.String()),
    since: Type.Optional(Type.String({ description: "from this time on: ISO 8601 with a zone" })),
    after: Type.Optional(Type.String({ description: "`next` of the page before" })),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: LIST_LIMIT_MAX, description: `by default ${LIST_LIMIT_DEFAULT}` }),
    ),
  },
  { additionalProperties: false },
);
export type SuppressionQuery = Static<typeof SUPPRESSION_QUERY>;

export const NEW_SUPPRESSION = Type.Object(
  {
    address: Type.String({ description: ADDRESS }),
    scope: Type.Optional(nullable(Type.Enum([...SUPPRESSION_SCOPES], { description: "by default everything" }))),
    list: Type.Optional(nullable(LIST)),
    reason: Type.Optional(nullable(Type.Enum([...SUPPRESSION_REASONS], { description: "by default manual" }))),
    days: Type.Optional(nullable(Type.Integer({ description: "it ends by itself after so many; by default never" }))),
  },
  { additionalProperties: false },
);
export type NewSuppressionBody = Static<typeof NEW_SUPPRESSION>;

export const SUPPRESSION_ENDED_QUERY = Type.Object(
  {
    address: Type.String({ description: ADDRESS }),
    scope: Type.Optional(Type.Enum([...SUPPRESSION_SCOPES], { description: "only this one; by default all" })),
    list: Type.Optional(LIST),
  },
  { additionalProperties: false },
);
export type SuppressionEndedQuery = Static<typeof SUPPRESSION_ENDED_QUERY>;

const SUPPRESSION = Type.Object({
  address: nullable(Type.String({ description: "null: it was erased, and the promise holds" })),
  hash: Type.String({ description: "the keyed hash by which it is known" }),
  scope: SCOPE,
  list: nullable(Type.String()),
  reason: REASON,
  source: Type.String({ description: "who or what says so, such as msg_42" }),
  created_at: Type.String(),
  expires_at: nullable(Type.String({ description: "null: until somebody ends it" })),
});

export const SUPPRESSIONS = Type.Object({
  object: Type.Literal("list"),
  data: Type.Array(SUPPRESSION),
  next: nullable(Type.String({ description: "give it as `after` for the next page; null: this is the last" })),
});

export const SUPPRESSIONS_ENDED = Type.Object({ object: Type.Literal("suppression"), removed: Type.Integer() });
