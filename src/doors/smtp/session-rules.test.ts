// Every standing there can be: no mail without a key but from this machine and named networks, and no key in the clear
// but on this machine.

import assert from "node:assert/strict";
import { test } from "node:test";
import { offerTo, replyWithoutAuth, type Standing } from "./session-rules.ts";

const either = [false, true];
const STANDINGS: readonly Standing[] = (["smtp", "submission", "submissions"] as const).flatMap((listener) =>
  either.flatMap((hasCertificate) =>
    either.flatMap((isLoopback) =>
      either.flatMap((isAllowed) =>
        either.map((isSecure) => ({ listener, hasCertificate, isLoopback, isAllowed, isSecure })),
      ),
    ),
  ),
);

test("never an open relay, and no key crosses a wire in the clear", () => {
  assert.equal(STANDINGS.length, 48);
  for (const standing of STANDINGS) {
    const { listener, hasCertificate, isLoopback, isAllowed, isSecure } = standing;
    const offer = offerTo(standing);
    const said = JSON.stringify(standing);
    assert.equal(offer.needsAuth, listener !== "smtp" || !(isLoopback || isAllowed), said);
    if (offer.offersAuth) assert.ok(isSecure || (listener === "smtp" && isLoopback), said);
    if (offer.offersTls) assert.ok(hasCertificate && !isSecure, said);
  }
});

test("STARTTLS is not offered to this machine on the plain listener", () => {
  const standing = {
    listener: "smtp",
    hasCertificate: true,
    isLoopback: true,
    isAllowed: false,
    isSecure: false,
  } as const;
  assert.equal(offerTo(standing).offersTls, false);
  assert.equal(offerTo({ ...standing, isLoopback: false }).offersTls, true);
});

test("who may not send is told what to do", () => {
  for (const offersTls of either) {
    for (const offersAuth of either) {
      assert.match(replyWithoutAuth({ offersTls, offersAuth, needsAuth: true }).text, /^5\.7\.[01] [ -~]+$/);
    }
  }
});
