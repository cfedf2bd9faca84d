// Through the real resolver, asked of a made-up zone.

import assert from "node:assert/strict";
import { Resolver } from "node:dns/promises";
import { test, type TestContext } from "node:test";
import { startFakeDns, type ZoneAnswer } from "../../test/rig/fake-dns.ts";
import { checkReturnDomain } from "./check-return-domain.ts";

const DOMAIN = "returns.example";

async function ask(t: TestContext, answer: ZoneAnswer): Promise<{ readonly kind: string; readonly warning?: string }> {
  const dns = await startFakeDns(t, { [DOMAIN]: answer });
  const resolver = new Resolver({ timeout: 200, tries: 1 });
  resolver.setServers([dns.address]);
  return await checkReturnDomain(DOMAIN, resolver);
}

test("an MX, or an address without one, takes mail", async (t) => {
  assert.deepEqual(await ask(t, { kind: "records", MX: ["mx.example"] }), { kind: "takes_mail" });
  assert.deepEqual(await ask(t, { kind: "records", A: ["192.0.2.1"] }), { kind: "takes_mail" });
  assert.deepEqual(await ask(t, { kind: "records", AAAA: ["::1"] }), { kind: "takes_mail" });
});

test("neither, no such name, or a null MX: a warning that says what to do", async (t) => {
  for (const answer of [{ kind: "records" }, { kind: "no_such_name" }, { kind: "records", MX: ["."] }] as const) {
    const { kind, warning } = await ask(t, answer);
    assert.equal(kind, "takes_none", JSON.stringify(answer));
    assert.match(warning!, /WARNING: returns\.domain returns\.example takes no mail .*MX record/);
  }
});

test("an error or silence is no answer", async (t) => {
  for (const answer of [{ kind: "servfail" }, { kind: "silence" }] as const) {
    const { kind, warning } = await ask(t, answer);
    assert.equal(kind, "not_asked", answer.kind);
    assert.match(warning!, /could not be asked \(E/);
  }
});

test("whoever stops asking hears no warning", async (t) => {
  const dns = await startFakeDns(t, { [DOMAIN]: { kind: "silence" } });
  const resolver = new Resolver({ timeout: 5000, tries: 1 });
  resolver.setServers([dns.address]);
  const answer = checkReturnDomain(DOMAIN, resolver);
  resolver.cancel();
  assert.deepEqual(await answer, { kind: "canceled" });
});
