import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_EXTENSIONS, parseExtensions } from "./smtp-extensions.ts";

test("the first line is a greeting and offers nothing", () => {
  assert.deepEqual(parseExtensions(["PIPELINING SIZE 10"]), NO_EXTENSIONS);
});

test("keywords are read in any case, and unknown ones left alone", () => {
  const offers = parseExtensions([
    "relay.example at your service",
    "pipelining",
    "Size 1000",
    "8bitmime",
    "SMTPUTF8",
    "ENHANCEDSTATUSCODES",
    "STARTTLS",
    "DSN",
    "AUTH plain LOGIN",
    "AUTH=XOLD",
    "XCLIENT NAME",
  ]);
  assert.deepEqual(offers, {
    hasPipelining: true,
    hasSize: true,
    sizeMax: 1000,
    has8BitMime: true,
    hasSmtpUtf8: true,
    hasEnhancedCodes: true,
    hasDsn: true,
    hasStartTls: true,
    authMechanisms: ["PLAIN", "LOGIN", "XOLD"],
  });
});

test("SIZE without a number, with zero or with nonsense is no limit", () => {
  for (const line of ["SIZE", "SIZE 0", "SIZE many", "SIZE -1"]) {
    const { hasSize, sizeMax } = parseExtensions(["host", line]);
    assert.deepEqual([hasSize, sizeMax], [true, Number.POSITIVE_INFINITY], line);
  }
});
