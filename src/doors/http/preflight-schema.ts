// The shapes of what is looked at before a campaign is sent: its preflight, one recipient's copy, test copies.

import { Type, type Static } from "../../platform/plain-schema.ts";
import { TEST_COPIES_DEFAULT, TEST_COPIES_MAX } from "../../preflight/send-test-copies.ts";
import { nullable, optional } from "./email-schema.ts";

export const PREFLIGHT_ORDER = Type.Union([
  Type.Object(
    {
      sample: optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 }), "how many recipients, spread evenly"),
      dns: optional(Type.Boolean(), "true: ask the DNS for what big providers want of the domain of From"),
    },
    { additionalProperties: false },
  ),
  Type.Null(),
]);
export type PreflightOrderBody = Static<typeof PREFLIGHT_ORDER>;

const FINDING = Type.Object({
  code: Type.String(),
  severity: Type.String({ description: "stop, warn or info" }),
  means: Type.String(),
  remedy: Type.String(),
  count: Type.Integer({ description: "rows, or places in the template" }),
  examples: Type.Array(
    Type.Object({ line: nullable(Type.Integer()), address: nullable(Type.String()), detail: Type.String() }),
  ),
});

/** One that an earlier Postlane has kept may lack a field. */
const REPORT = Type.Partial({
  campaign: Type.String(),
  name: Type.String(),
  status: Type.String({ description: "of the campaign" }),
  version: Type.Integer(),
  lane: Type.String(),
  scope: Type.String({ description: "all of the list, or not_made: those of whom no message is made yet" }),
  recipients: Type.Integer({ description: "in that scope" }),
  looked_at: Type.Integer(),
  is_sample: Type.Boolean(),
  rendered: Type.Integer(),
  suppressed: Type.Integer(),
  rejected: Type.Integer(),
  doubled: Type.Integer(),
  size: nullable(
    Type.Object(
      { mean: Type.Number(), p99: Type.Number(), max: Type.Number() },
      { description: "octets of a message" },
    ),
  ),
  duration: Type.Object({
    seconds: nullable(Type.Number()),
    messages: Type.Integer(),
    rate_per_s: nullable(Type.Number()),
    basis: Type.String(),
    measured_by: nullable(Type.String()),
  }),
  shared_with: Type.Array(
    Type.Object({ lane: Type.String(), priority: Type.String(), outlets: Type.Array(Type.String()) }),
  ),
  is_dns_asked: Type.Boolean(),
  findings: Type.Array(FINDING, { description: "the gravest first" }),
  must_stop: Type.Boolean({ description: "one of them has severity stop" }),
  rendered_per_s: Type.Number(),
  took_ms: Type.Number(),
});

export const PREFLIGHT = Type.Object({
  object: Type.Literal("preflight"),
  campaign: Type.String(),
  state: Type.Enum(["running", "done", "failed"]),
  version: Type.Integer({ description: "of the template that was looked at" }),
  begun_at: Type.String(),
  finished_at: nullable(Type.String()),
  error: nullable(Type.String()),
  report: nullable(REPORT),
});

export const PREFLIGHT_BEGUN = Type.Object({
  object: Type.Literal("preflight"),
  campaign: Type.String(),
  state: Type.Literal("running"),
  version: Type.Integer(),
});

export const PREVIEW_QUERY = Type.Object(
  {
    recipient: Type.Optional(Type.String({ description: "an address of the list; by default the first" })),
    line: Type.Optional(Type.Integer({ minimum: 1, description: "of the list's file, instead of an address" })),
  },
  { additionalProperties: false },
);
export type PreviewQuery = Static<typeof PREVIEW_QUERY>;

export const PREVIEW = Type.Object({
  object: Type.Literal("preview"),
  campaign: Type.String(),
  recipient: Type.String(),
  line: nullable(Type.Integer()),
  version: Type.Integer(),
  from: Type.String(),
  reply_to: nullable(Type.String()),
  subject: Type.String(),
  headers: Type.Array(Type.String()),
  text: nullable(Type.String()),
  html: nullable(Type.String()),
  raw: Type.String({ description: "the whole mail, without its DKIM signature" }),
});

export const TEST_ORDER = Type.Object(
  {
    to: Type.String({ description: "where the copies go" }),
    recipients: optional(
      Type.Array(Type.String()),
      `whose copies: up to ${TEST_COPIES_MAX} addresses of the list; by default its first ${TEST_COPIES_DEFAULT}`,
    ),
  },
  { additionalProperties: false },
);
export type TestOrderBody = Static<typeof TEST_ORDER>;

export const TESTS_SENT = Type.Object({
  object: Type.Literal("list"),
  data: Type.Array(Type.Object({ id: Type.String({ description: "of the email" }), recipient: Type.String() })),
});
