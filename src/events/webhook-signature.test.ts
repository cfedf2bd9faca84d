// The vector that Standard Webhooks publishes, and its own library as the judge.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Webhook } from "standardwebhooks";
import { printWebhookSecret, webhookHeaders } from "./webhook-signature.ts";

const SECRET = Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64");

test("the published vector is reproduced", () => {
  const content = { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestampS: 1614265330, body: '{"test": 2432232314}' };
  assert.deepEqual(webhookHeaders(content, [SECRET]), {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  });
});

test("the scheme's own library verifies what is signed, with either of two secrets, and nothing else", () => {
  const [now, before, other] = [1, 2, 3].map((octet) => Buffer.alloc(32, octet));
  const body = JSON.stringify({ type: "email.sent", data: { subject: "Grüße 🎉" } });
  const headers = webhookHeaders({ id: "evt_1", timestampS: Math.floor(Date.now() / 1000), body }, [now!, before!]);
  for (const secret of [now!, before!]) {
    assert.deepEqual(new Webhook(printWebhookSecret(secret)).verify(body, headers), JSON.parse(body));
  }
  assert.throws(() => new Webhook(printWebhookSecret(other!)).verify(body, headers), /No matching signature/);
  assert.throws(() => new Webhook(printWebhookSecret(now!)).verify(`${body} `, headers), /No matching signature/);
});
