// What goes in and out at `/emails`, once: these objects check requests, write answers, are the types of both, and become
// the OpenAPI document. Field names are Resend's, plus `lane`, `expires_at` and `metadata`. Only shapes stand here; what a
// field may hold is for the rules of entry to say.

import { ANY_KEY, Type, type SchemaNode, type Static } from "../../platform/plain-schema.ts";
import { BATCH_ITEMS_MAX, LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX } from "./http-limits.ts";

export const optional = <Schema extends SchemaNode>(schema: Schema, description: string) =>
  Type.Optional(Type.Union([schema, Type.Null()], { description }));

const MAILBOXES = Type.Union([Type.String(), Type.Array(Type.String())]);
const TAG = Type.Object({ name: Type.String(), value: Type.String() });
export const ATTACHMENT = Type.Object(
  {
    filename: Type.String({ description: "what the file is called, in any script" }),
    content: Type.String({ description: 'the octets in base64; of a Buffer, `toString("base64")`' }),
    content_type: optional(Type.String(), 'such as "application/pdf"; by default what the extension says'),
    content_id: optional(Type.String(), "shows it within the HTML, where that says `cid:` and this id"),
    path: optional(Type.Unknown(), "refused: nothing is fetched; give the content"),
  },
  { additionalProperties: false },
);
const METADATA = Type.Record(ANY_KEY, Type.Unknown());
const VARIABLES = Type.Record(ANY_KEY, Type.Unknown());
export const TEMPLATE = Type.Object(
  {
    id: Type.String({ description: "a template's name, or name@version" }),
    variables: Type.Optional(Type.Union([VARIABLES, Type.Null()], { description: "what it is filled in with" })),
  },
  { additionalProperties: false },
);

export const EMAIL = Type.Object(
  {
    from: optional(Type.String(), 'one mailbox, such as "Shop <shop@example.com>"; by default the installation\'s'),
    to: Type.Union([Type.String(), Type.Array(Type.String())], {
      description: 'a mailbox, or a list of them, such as ["Ann <ann@example.com>", "bob@example.com"]',
    }),
    cc: optional(MAILBOXES, "a mailbox, or a list of them"),
    bcc: optional(MAILBOXES, "a mailbox, or a list of them; named nowhere in the mail"),
    reply_to: optional(MAILBOXES, "a mailbox, or a list of them"),
    subject: optional(Type.String(), "one line of text"),
    html: optional(Type.String(), "text; needed if there is neither `text` nor `template`"),
    text: optional(Type.String(), "text; needed if there is neither `html` nor `template`"),
    headers: optional(
      Type.Record(ANY_KEY, Type.String()),
      'an object of strings, such as {"X-Order": "4711"}; X-Postlane-Lane, X-Postlane-List, X-Postlane-Expires-At and ' +
        "X-Postlane-Idempotency-Key act as fields, and are not sent",
    ),
    tags: optional(Type.Array(TAG), 'a list such as [{"name": "kind", "value": "receipt"}]'),
    scheduled_at: optional(Type.String(), 'when to send, such as "2027-01-31T09:00:00Z"'),
    lane: optional(Type.String(), "the name of a lane; by default the key's first, or transactional"),
    list: optional(Type.String(), 'what the recipient unsubscribes from, such as "weekly-news"'),
    expires_at: optional(Type.String(), 'when it is too late to send, such as "2027-01-31T12:00:00Z"'),
    metadata: optional(METADATA, "an object of your own, kept with the email and never sent"),
    attachments: optional(
      Type.Array(ATTACHMENT),
      'a list such as [{"filename": "hello.txt", "content": "SGVsbG8="}]; content in base64, of a Buffer by `toString("base64")`',
    ),
    template: optional(
      TEMPLATE,
      'such as {"id": "welcome", "variables": {"name": "Ann"}}; then no `html` and no `text`, and the email\'s `subject`, ' +
        "`from`, `reply_to` and `headers` go before the template's",
    ),
    topic_id: optional(Type.Unknown(), "Postlane has no topics: refused"),
  },
  { additionalProperties: false, title: "Email" },
);
export type EmailBody = Static<typeof EMAIL>;

export const EMAILS = Type.Array(EMAIL, { minItems: 1, maxItems: BATCH_ITEMS_MAX });

export const RESCHEDULE = Type.Object(
  { scheduled_at: Type.String({ description: 'when to send, such as "2027-01-31T09:00:00Z"' }) },
  { additionalProperties: false },
);
export type RescheduleBody = Static<typeof RESCHEDULE>;

export const EMAIL_PARAMS = Type.Object({ id: Type.String({ description: "sub_ and a number" }) });

export const LIST_QUERY = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: LIST_LIMIT_MAX, description: `by default ${LIST_LIMIT_DEFAULT}` }),
    ),
    after: Type.Optional(Type.String({ description: "the id of the last email of the page before" })),
  },
  { additionalProperties: false },
);
export type ListQuery = Static<typeof LIST_QUERY>;

export const HTTP_WORDS = [
  "scheduled",
  "queued",
  "delivery_delayed",
  "held",
  "unknown",
  "sent",
  "delivered",
  "bounced",
  "expired",
  "canceled",
  "suppressed",
] as const;
export type HttpWord = (typeof HTTP_WORDS)[number];

export const nullable = <Schema extends SchemaNode>(schema: Schema) => Type.Union([schema, Type.Null()]);
const WORD = nullable(Type.Enum([...HTTP_WORDS]));
const TIME = nullable(Type.String());

const EVENT = Type.Object({
  at: Type.String(),
  event: Type.String({ description: "a status that the message reached, or what else happened to it" }),
  attempt: Type.Integer(),
  outlet: nullable(Type.String()),
  host: nullable(Type.String()),
  reply: nullable(Type.String()),
});

const MESSAGE = Type.Object({
  id: Type.String({ description: "msg_ and a number" }),
  to: Type.String(),
  status: WORD,
  events: Type.Array(EVENT),
});

const LISTED = {
  id: Type.String({ description: "sub_ and a number" }),
  to: Type.Array(Type.String()),
  from: Type.String(),
  created_at: Type.String(),
  subject: nullable(Type.String()),
  bcc: nullable(Type.Array(Type.String())),
  cc: nullable(Type.Array(Type.String())),
  reply_to: nullable(Type.Array(Type.String())),
  last_event: WORD,
  scheduled_at: TIME,
  lane: nullable(Type.String()),
  expires_at: TIME,
};

const LISTED_EMAIL = Type.Object(LISTED);
export type ListedEmail = Static<typeof LISTED_EMAIL>;

export const EMAIL_LIST = Type.Object({
  object: Type.Literal("list"),
  has_more: Type.Boolean(),
  data: Type.Array(LISTED_EMAIL),
});

export const SUBMITTED_EMAIL = Type.Object({
  object: Type.Literal("email"),
  ...LISTED,
  html: nullable(Type.String()),
  text: nullable(Type.String()),
  headers: Type.Record(ANY_KEY, Type.String()),
  tags: Type.Array(TAG),
  template: nullable(Type.Object({ id: Type.String({ description: "name@version" }), variables: VARIABLES })),
  metadata: nullable(METADATA),
  messages: Type.Array(MESSAGE),
});
export type SubmittedEmail = Static<typeof SUBMITTED_EMAIL>;

export const ACCEPTED = Type.Object({ id: Type.String({ description: "sub_ and a number" }) });

export const MOVED = Type.Object({
  object: Type.Literal("email"),
  id: Type.String(),
  messages: Type.Array(
    Type.Object({
      id: Type.String(),
      result: Type.Enum(["done", "being_handed_over", "refused", "not_waiting"]),
      status: WORD,
    }),
  ),
});
export type MovedEmail = Static<typeof MOVED>;
