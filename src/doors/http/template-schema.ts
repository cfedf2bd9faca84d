// The shapes of templates: what is pushed, and what is told of it.

import { ANY_KEY, Type, type Static } from "../../platform/plain-schema.ts";
import { ATTACHMENT, nullable, optional } from "./email-schema.ts";
import { LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX } from "./http-limits.ts";

const TEXTS = Type.Record(ANY_KEY, Type.String());

export const TEMPLATE_SOURCE = Type.Object(
  {
    subject: Type.String({ description: "one line, with Liquid" }),
    html: optional(Type.String(), "the HTML part, with Liquid; needed if there is no `text`"),
    text: optional(Type.String(), "the text part, with Liquid; by default made from `html`"),
    preheader: optional(Type.String(), "what stands behind the subject in a list of mails, with Liquid"),
    from: optional(Type.String(), "one mailbox; an email's own goes before"),
    reply_to: optional(Type.String(), "one mailbox; an email's own goes before"),
    headers: optional(TEXTS, 'an object of strings with Liquid, such as {"X-Order": "{{ order.id }}"}'),
    partials: optional(TEXTS, "layouts and partials by file name, such as footer.html"),
    locale: optional(Type.String(), 'of what filters print, such as "pt-BR"; by default en'),
    time_zone: optional(Type.String(), 'such as "Europe/Vienna"; by default UTC'),
    attachments: optional(
      Type.Array(ATTACHMENT),
      "what every mail of the template brings, as in an email; with a `content_id` the HTML shows it by `cid:` and this id",
    ),
  },
  { additionalProperties: false },
);
export type TemplateBody = Static<typeof TEMPLATE_SOURCE>;

export const TEMPLATE_PARAMS = Type.Object({ name: Type.String() });

export const TEMPLATE_QUERY = Type.Object(
  {
    version: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_147_483_647, description: "by default the latest" })),
  },
  { additionalProperties: false },
);
export type TemplateQuery = Static<typeof TEMPLATE_QUERY>;

export const TEMPLATE_LIST_QUERY = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: LIST_LIMIT_MAX, description: `by default ${LIST_LIMIT_DEFAULT}` }),
    ),
    after: Type.Optional(Type.String({ description: "the name of the last template of the page before" })),
  },
  { additionalProperties: false },
);
export type TemplateListQuery = Static<typeof TEMPLATE_LIST_QUERY>;

const VERSION = {
  name: Type.String(),
  version: Type.Integer(),
  id: Type.String({ description: "name@version, as `template.id` of an email takes it" }),
  created_at: Type.String(),
  required: Type.Array(Type.String(), { description: "the variables that an email must bring" }),
};

export const TEMPLATE_PUSHED = Type.Object({
  object: Type.Literal("template"),
  ...VERSION,
  is_new: Type.Boolean({ description: "false: the latest version has the same texts and attachments" }),
});

export const TEMPLATE_TOLD = Type.Object({
  object: Type.Literal("template"),
  ...VERSION,
  source: Type.Object({
    subject: Type.String(),
    html: nullable(Type.String()),
    text: nullable(Type.String()),
    preheader: nullable(Type.String()),
    from: nullable(Type.String()),
    reply_to: nullable(Type.String()),
    headers: TEXTS,
    partials: TEXTS,
    locale: nullable(Type.String()),
    time_zone: nullable(Type.String()),
    attachments: Type.Array(
      Type.Object({
        filename: Type.String(),
        content_type: nullable(Type.String()),
        content_id: nullable(Type.String()),
        bytes: Type.Integer({ description: "before base64" }),
      }),
    ),
  }),
});
export type ToldTemplate = Static<typeof TEMPLATE_TOLD>;

export const TEMPLATE_LIST = Type.Object({
  object: Type.Literal("list"),
  has_more: Type.Boolean(),
  data: Type.Array(Type.Object(VERSION)),
});
