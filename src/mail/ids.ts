// The ids of the road. In tables they are plain integers, so that indexes stay narrow; to people and programs they
// print with a prefix that says what they name. Branded, so that a campaign's id cannot pass for a message's.

declare const brand: unique symbol;
type Id<Name extends string> = number & { readonly [brand]: Name };

export type MessageId = Id<"message">;
export type SubmissionId = Id<"submission">;
export type CampaignId = Id<"campaign">;
export type LeaseId = Id<"lease">;
export type LaneId = Id<"lane">;
export type WebhookId = Id<"webhook">;
export type ListId = Id<"list">;
export type SubscriptionId = Id<"subscription">;

/** The campaign id of messages that belong to no campaign. Zero and not null, so that the claim index has no gaps. */
export const NO_CAMPAIGN = 0 as CampaignId;

const PREFIXES = {
  message: "msg_",
  submission: "sub_",
  campaign: "cmp_",
  webhook: "whk_",
  subscription: "sbn_",
} as const;

export const printMessageId = (id: MessageId): string => PREFIXES.message + id;
export const printSubmissionId = (id: SubmissionId): string => PREFIXES.submission + id;
export const printCampaignId = (id: CampaignId): string => PREFIXES.campaign + id;
export const printWebhookId = (id: WebhookId): string => PREFIXES.webhook + id;
export const printSubscriptionId = (id: SubscriptionId): string => PREFIXES.subscription + id;

/** `msg_42` or `42` → 42; undefined when it is neither. */
export const parseMessageId = (text: string): MessageId | undefined =>
  parseId(text, PREFIXES.message) as MessageId | undefined;
export const parseSubmissionId = (text: string): SubmissionId | undefined =>
  parseId(text, PREFIXES.submission) as SubmissionId | undefined;
export const parseCampaignId = (text: string): CampaignId | undefined =>
  parseId(text, PREFIXES.campaign) as CampaignId | undefined;
export const parseWebhookId = (text: string): WebhookId | undefined =>
  parseId(text, PREFIXES.webhook) as WebhookId | undefined;
export const parseSubscriptionId = (text: string): SubscriptionId | undefined =>
  parseId(text, PREFIXES.subscription) as SubscriptionId | undefined;

function parseId(text: string, prefix: string): number | undefined {
  const digits = text.startsWith(prefix) ? text.slice(prefix.length) : text;
  if (!/^[1-9]\d{0,15}$/.test(digits)) return undefined;
  return Number(digits);
}
