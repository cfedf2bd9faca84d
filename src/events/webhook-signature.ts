// Signs webhooks by the scheme of Standard Webhooks (standardwebhooks.com): HMAC-SHA-256 of `id.timestamp.body` with a
// secret that both sides know, one signature for each secret that holds at the time. Pure.

import { createMac } from "../platform/mac.ts";

/** The scheme asks for 24 to 64 octets. */
export const SECRET_BYTES = 32;

const PREFIX = "whsec_";

export interface SignedContent {
  /** `webhook-id`: the same whenever this is sent again. */
  readonly id: string;
  /** `webhook-timestamp`: of this try, in seconds. */
  readonly timestampS: number;
  readonly body: string;
}

/** The three headers. */
export function webhookHeaders(
  content: SignedContent,
  secrets: readonly Uint8Array[],
): Readonly<Record<"webhook-id" | "webhook-timestamp" | "webhook-signature", string>> {
  return {
    "webhook-id": content.id,
    "webhook-timestamp": String(content.timestampS),
    "webhook-signature": secrets.map((secret) => signatureOf(content, secret)).join(" "),
  };
}

/** As it is shown to people, once. */
export function printWebhookSecret(secret: Uint8Array): string {
  return PREFIX + Buffer.from(secret).toString("base64");
}

function signatureOf({ id, timestampS, body }: SignedContent, secret: Uint8Array): string {
  const mac = createMac(secret)(Buffer.from(`${id}.${timestampS}.${body}`, "utf8"));
  return `v1,${Buffer.from(mac).toString("base64")}`;
}
