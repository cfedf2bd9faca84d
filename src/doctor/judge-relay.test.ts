import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_EXTENSIONS } from "../handover/smtp-extensions.ts";
import type { FindingCode } from "./finding-catalogue.ts";
import { judgeRelay, type RelayFacts } from "./judge-relay.ts";
import type { RelayTalk } from "./talk-to-relay.ts";

const DAY_MS = 86_400_000;
const certificate = { problem: null, validToMs: 60 * DAY_MS };
const TALK: RelayTalk = {
  end: "done",
  said: "",
  extensions: { ...NO_EXTENSIONS, hasPipelining: true, authMechanisms: ["PLAIN"] },
  wasTlsOffered: true,
  isTls: true,
  certificate,
};
const clear: Partial<RelayTalk> = { isTls: false };
const required = { name: "news", tls: "required", implicitTls: false } as const;
const opportunistic = { ...required, tls: "opportunistic" } as const;
const auth = { user: "site", password: "x" };

const rows: readonly (readonly [FindingCode | undefined, Partial<RelayTalk>, RelayFacts["outlet"], string?])[] = [
  [undefined, {}, required],
  [undefined, {}, { ...required, auth }],
  ["relay_unresolved", { end: "unresolved" }, required],
  ["relay_unreachable", { end: "unreachable" }, required],
  ["relay_silent", { end: "silent" }, required],
  ["relay_refuses", { end: "refused" }, required],
  ["relay_tls_failed", { end: "tls_failed" }, required],
  ["relay_tls_not_offered", clear, required],
  ["relay_clear_text", clear, opportunistic],
  [undefined, clear, opportunistic, "127.0.0.1"],
  ["relay_certificate_refused", { certificate: { ...certificate, problem: "CERT_HAS_EXPIRED" } }, required],
  ["relay_certificate_unverified", { certificate: { ...certificate, problem: "SELF_SIGNED" } }, opportunistic],
  [undefined, { certificate: { ...certificate, problem: "SELF_SIGNED" } }, opportunistic, "localhost"],
  ["relay_certificate_expires", { certificate: { ...certificate, validToMs: 5 * DAY_MS } }, required],
  [
    "relay_auth_not_offered",
    { extensions: { ...TALK.extensions, authMechanisms: ["CRAM-MD5"] } },
    { ...required, auth },
  ],
  ["relay_slow_to_talk", { extensions: NO_EXTENSIONS }, required],
];
for (const [code, talk, outlet, host = "relay.example.com"] of rows) {
  test(`${code ?? "all right"}: ${outlet.tls}, ${host}`, () => {
    const facts = { outlet, host, port: 25, talk: { ...TALK, ...talk }, nowMs: 0 };
    assert.deepEqual(
      judgeRelay(facts).map((one) => one.code),
      code === undefined ? [] : [code],
    );
  });
}

test("credentials are not for clear text", () => {
  const facts = { outlet: { ...opportunistic, auth }, host: "relay.example.com", port: 25, nowMs: 0 };
  const codes = judgeRelay({ ...facts, talk: { ...TALK, ...clear } }).map(({ code }) => code as string);
  assert.deepEqual(codes, ["relay_clear_text", "relay_auth_in_clear"]);
});
