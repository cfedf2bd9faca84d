// The vector that Standard Webhooks publishes, and its own library as the judge.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { Webhook } from "standardwebhooks";
import { WEBHOOK_EVENTS } from "./webhook-events.ts";
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

const PAGE = readFileSync(path.resolve(import.meta.dirname, "../../../docs/reference/webhooks.md"), "utf8");

test("docs/reference/webhooks.md verifies by hand what is signed, and nothing else", async () => {
  const [code] = [...PAGE.matchAll(/```js\n([\s\S]*?)```/g)]
    .map(([, js = ""]) => js)
    .filter((js) => js.includes("function verify"));
  const module = `data:text/javascript,${encodeURIComponent(`${code}\nexport { verify };`)}`;
  const { verify } = (await import(module)) as { verify: (body: string, headers: object, secret: string) => unknown };
  const [secret, other] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const body = '{"type":"email.sent"}';
  const headers = webhookHeaders({ id: "evt_1", timestampS: Math.floor(Date.now() / 1000), body }, [other, secret]);
  assert.deepEqual(verify(body, headers, printWebhookSecret(secret)), { type: "email.sent" });
  assert.throws(() => verify(`${body} `, headers, printWebhookSecret(secret)), /not signed by us/);
  const old = webhookHeaders({ id: "evt_1", timestampS: 1_614_265_330, body }, [secret]);
  assert.throws(() => verify(body, old, printWebhookSecret(secret)), /too old/);
});

test("docs/reference/webhooks.md lists every event", () => {
  const listed = [...PAGE.matchAll(/^\| `(email\.[a-z_]+)` \|/gm)].map(([, event]) => event);
  assert.deepEqual(listed, Object.values(WEBHOOK_EVENTS));
});
