import assert from "node:assert/strict";
import { test } from "node:test";

import type { SmtpOutletSettings } from "../../src/handover/smtp-settings.ts";
import { letters, startOutlet } from "../rig/handover-rig.ts";
import { sinkCertificate, startScriptedSink, type SinkScript } from "../rig/scripted-sink.ts";

const starttls: SinkScript = { tls: "starttls" };

async function handOver(
  t: Parameters<typeof startScriptedSink>[0] & Parameters<typeof startOutlet>[0],
  script: SinkScript,
  settings: Partial<SmtpOutletSettings>,
) {
  const sink = await startScriptedSink(t, script);
  const { driver } = startOutlet(t, [sink.port], letters(3), { limit: 1, ...settings });
  const [result] = (await driver.whenFinished(1)).values();
  const how = result?.kind === "failed" ? `failed ${result.phase} ${result.code}` : result?.kind;
  return { sink, how, result, wasTls: sink.messages[0]?.isTls };
}

test("off: STARTTLS is not used", async (t) => {
  const { how, wasTls, sink } = await handOver(t, starttls, { tls: "off" });
  assert.deepEqual([how, wasTls], ["replied", false]);
  assert.ok(!sink.commands.includes("1> STARTTLS"));
});

test("opportunistic: any certificate will do, and EHLO is said again", async (t) => {
  const { how, wasTls, sink } = await handOver(t, starttls, { tls: "opportunistic" });
  assert.deepEqual([how, wasTls], ["replied", true]);
  assert.deepEqual(sink.commands.slice(0, 3), ["1> EHLO client.example", "1> STARTTLS", "1> EHLO client.example"]);
  assert.deepEqual(sink.breaches, []);
});

test("opportunistic: where it is not offered, or refused, the same connection goes on in clear", async (t) => {
  const absent = await handOver(t, {}, { tls: "opportunistic" });
  const refused = await handOver(
    t,
    { tls: "starttls", answer: ({ verb }) => (verb === "STARTTLS" ? "454 4.7.0 not now" : undefined) },
    { tls: "opportunistic" },
  );
  for (const { how, wasTls, sink } of [absent, refused]) {
    assert.deepEqual([how, wasTls, sink.connectionCount], ["replied", false, 1]);
  }
});

test("opportunistic: after a broken handshake a new connection to the same host goes on in clear", async (t) => {
  const { how, wasTls, sink } = await handOver(
    t,
    { tls: "starttls", isHandshakeBroken: true },
    { tls: "opportunistic", connectionsMax: 1 },
  );
  assert.deepEqual([how, wasTls, sink.connectionCount], ["replied", false, 2]);
  assert.equal(sink.commands.filter((line) => line.endsWith("STARTTLS")).length, 1);
});

test("required: a certificate that verifies for the host", async (t) => {
  const { how, wasTls } = await handOver(t, starttls, { tls: "required", ca: sinkCertificate });
  assert.deepEqual([how, wasTls], ["replied", true]);
});

test("required: under another name when one is configured", async (t) => {
  const settings = { tls: "required", ca: sinkCertificate } as const;
  const right = await handOver(t, starttls, { ...settings, servername: "relay.example" });
  assert.deepEqual([right.how, right.wasTls], ["replied", true]);
  const wrong = await handOver(t, starttls, { ...settings, servername: "other.example" });
  assert.deepEqual([wrong.how, wrong.sink.messages.length], ["failed starttls tls", 0]);
  assert.match(wrong.result?.kind === "failed" ? wrong.result.detail : "", /other\.example/);
});

test("required: never in clear, whatever goes wrong", async (t) => {
  const settings = { tls: "required" } as const;
  const unknownIssuer = await handOver(t, starttls, settings);
  const notOffered = await handOver(t, {}, { ...settings, ca: sinkCertificate });
  const broken = await handOver(t, { tls: "starttls", isHandshakeBroken: true }, { ...settings, ca: sinkCertificate });
  for (const { how, sink } of [unknownIssuer, notOffered, broken]) {
    assert.deepEqual([how, sink.messages.length], ["failed starttls tls", 0]);
    assert.ok(!sink.commands.some((line) => line.includes("MAIL")));
  }
  assert.match(unknownIssuer.result?.kind === "failed" ? unknownIssuer.result.detail : "", /self-signed/);
});

test("what an attacker says in clear behind the 220 to STARTTLS is thrown away", async (t) => {
  const { how, sink } = await handOver(
    t,
    { tls: "starttls", injectedAfterStartTls: "\r\n250-evil\r\n250 AUTH PLAIN\r\n" },
    { tls: "required", ca: sinkCertificate },
  );
  assert.equal(how, "replied");
  assert.equal(sink.messages[0]?.isTls, true);
  assert.deepEqual(sink.breaches, []);
});

test("implicit TLS secures from the first octet", async (t) => {
  for (const tls of ["required", "opportunistic"] as const) {
    const { how, wasTls } = await handOver(t, { tls: "implicit" }, { tls, implicitTls: true, ca: sinkCertificate });
    assert.deepEqual([how, wasTls], ["replied", true]);
  }
  const unverified = await handOver(t, { tls: "implicit" }, { tls: "required", implicitTls: true });
  assert.deepEqual([unverified.how, unverified.sink.messages.length], ["failed starttls tls", 0]);
});
