import assert from "node:assert/strict";
import { test } from "node:test";

import { connect } from "node:net";
import { letter, startOutlet } from "../rig/handover-rig.ts";
import { sinkCertificate, startScriptedSink, type SinkScript } from "../rig/scripted-sink.ts";

const auth = { user: "zoë", password: "s3cret" };
const users = { zoë: "s3cret" };
/** The sink under a name that is not the loopback's. */
const elsewhere = (port: number) => ({
  hosts: [{ host: "relay.example", port, weight: 1 }],
  ports: { connect: (_: string, to: number) => connect({ host: "127.0.0.1", port: to }) },
});

for (const mechanisms of ["AUTH PLAIN LOGIN", "AUTH PLAIN", "AUTH LOGIN", "AUTH=LOGIN"]) {
  test(`${mechanisms}: logged in on the loopback`, async (t) => {
    const sink = await startScriptedSink(t, { users, extensions: ["PIPELINING", mechanisms] });
    const { driver } = startOutlet(t, [sink.port], [letter(1)], { limit: 1, auth });
    assert.equal((await driver.whenFinished(1)).get("token-1")?.kind, "replied");
    assert.equal(sink.messages[0]?.user, "zoë");
    assert.deepEqual(sink.breaches, []);
  });
}

test("elsewhere they go over TLS", async (t) => {
  const sink = await startScriptedSink(t, { users, tls: "starttls" });
  const settings = { limit: 1, auth, tls: "required", ca: sinkCertificate, ...elsewhere(sink.port) } as const;
  const { driver } = startOutlet(t, [], [letter(1)], settings);
  assert.equal((await driver.whenFinished(1)).get("token-1")?.kind, "replied");
  assert.deepEqual([sink.messages[0]?.user, sink.messages[0]?.isTls], ["zoë", true]);
});

test("elsewhere in clear they do not go out", async (t) => {
  const scripts: readonly SinkScript[] = [{ users }, { users, tls: "starttls", isHandshakeBroken: true }];
  for (const script of scripts) {
    const sink = await startScriptedSink(t, script);
    const { driver } = startOutlet(t, [], [letter(1)], {
      limit: 1,
      auth,
      tls: "opportunistic",
      ...elsewhere(sink.port),
    });
    const result = (await driver.whenFinished(1)).get("token-1");
    assert.deepEqual(result?.kind === "failed" && [result.phase, result.code], ["auth", "no_auth_over_plaintext"]);
    assert.ok(!sink.commands.some((line) => line.includes("AUTH")));
  }
});

test("refused credentials are a failure of phase auth, and no message is offered", async (t) => {
  const sink = await startScriptedSink(t, { users: { zoë: "another" } });
  const { driver } = startOutlet(t, [sink.port], [letter(1), letter(2)], { limit: 2, auth });
  const result = (await driver.whenFinished(1)).get("token-1");
  assert.deepEqual(result?.kind === "replied" && [result.phase, result.reply.code], ["auth", 535]);
  assert.equal(driver.takenCount, 1);
  assert.ok(!sink.commands.some((line) => line.includes("MAIL")));
});
