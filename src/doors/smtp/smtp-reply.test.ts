// Every refusal of the rules of entry has its reply: the enhanced code of the same class, and one line of plain ASCII that
// never says what the client said.

import assert from "node:assert/strict";
import { test } from "node:test";
import { REFUSAL_CODES } from "../../submission/submission.ts";
import { replyToRefused } from "./smtp-reply.ts";

test("each has a reply that is one line of ASCII and quotes nobody", () => {
  for (const code of Object.values(REFUSAL_CODES)) {
    for (const field of ["to", "lane", "idempotency_key"]) {
      const message = "there is no lane 'x\r\n250 ok'";
      const reply = replyToRefused({ kind: "refused", code, message, hint: "Lanes: b\u00fclk,\r\n\u001b[31m.", field });
      assert.match(`${reply.code} ${reply.text}`, /^([45])\d\d \1\.\d{1,3}\.\d{1,3} [ -~]+$/, code);
      assert.ok(!reply.text.includes("250 ok"), code);
      assert.ok(reply.text.length <= 400, code);
    }
  }
});

test("what may be tried again is 4yz, and nothing else", () => {
  const isTemporary = (code: (typeof REFUSAL_CODES)[keyof typeof REFUSAL_CODES], field = "lane"): boolean =>
    replyToRefused({ kind: "refused", code, message: "", hint: "", field }).code < 500;
  const temporary = Object.values(REFUSAL_CODES).filter((code) => isTemporary(code));
  assert.deepEqual(temporary, [REFUSAL_CODES.keyInProgress, REFUSAL_CODES.laneFull]);
  assert.ok(isTemporary(REFUSAL_CODES.limitExceeded, "to"), "the other recipients may come in another transaction");
});
