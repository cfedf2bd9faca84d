// What goes in and out at `/subscriptions`.

import { ANY_KEY, Type, type Static } from "../../platform/plain-schema.ts";
import { nullable, optional, TEMPLATE } from "./email-schema.ts";

export const NEW_SUBSCRIPTION = Type.Object(
  {
    list: Type.String({ description: "the name of a kept list" }),
    email: Type.String({ description: "the address, such as ann@example.com" }),
    template: Type.Union([TEMPLATE], {
      description:
        'such as {"id": "confirm", "variables": {"name": "Ann"}}; it prints {{ confirm_url }}, which Postlane gives',
    }),
    data: optional(
      Type.Record(ANY_KEY, Type.Unknown()),
      'values for columns of the list, such as {"first_name": "Ann"}; the others are empty',
    ),
    from: optional(
      Type.String(),
      "whom the confirmation mail is from; by default the template's, then the installation's",
    ),
    lane: optional(Type.String(), "of the confirmation mail, none whose priority is bulk; by default transactional"),
    language: optional(
      Type.String(),
      "of the page behind the link, such as de; by default what data or the browser say",
    ),
  },
  { additionalProperties: false, title: "NewSubscription" },
);
export type NewSubscriptionBody = Static<typeof NEW_SUBSCRIPTION>;

export const SUBSCRIPTION_PARAMS = Type.Object({ id: Type.String({ description: "sbn_ and a number" }) });

const ID = Type.String({ description: "sbn_ and a number" });

export const SUBSCRIPTION_PENDING = Type.Object({
  object: Type.Literal("subscription"),
  id: ID,
  state: Type.Literal("pending", { description: "whatever is known of the address" }),
});

export const SUBSCRIPTION = Type.Object({
  object: Type.Literal("subscription"),
  id: ID,
  list: Type.String(),
  email: Type.String(),
  state: Type.Enum(["pending", "confirmed", "expired"]),
  template: Type.String({ description: "name@version: what the owner of the address was shown" }),
  created_at: Type.String(),
  expires_at: Type.String({ description: "until when it can be confirmed" }),
  confirmed_at: nullable(Type.String()),
});
export type ToldSubscription = Static<typeof SUBSCRIPTION>;
