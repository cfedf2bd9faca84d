import assert from "node:assert/strict";
import test from "node:test";
import { parseSafeInteger, withSessionOptions } from "./database.ts";

test("every session asks for a durable commit, and a stronger one of the server stays", () => {
  assert.match(withSessionOptions({}, "off").options ?? "", /-c synchronous_commit=on /);
  assert.match(withSessionOptions({}, "local").options ?? "", /-c synchronous_commit=on /);
  assert.match(withSessionOptions({}, "remote_apply").options ?? "", /-c synchronous_commit=remote_apply /);
});

test("options that a URL brings are kept, and ours come after them", () => {
  const connectionString = "postgres://u:p@h/db?application_name=x&options=-c%20work_mem%3D8MB+-c%20jit%3Don&port=1";
  const both = withSessionOptions({ connectionString }, "on").connectionString ?? "";
  const url = new URL(both);
  assert.match(url.searchParams.get("options") ?? "", /^-c work_mem=8MB -c jit=on -c synchronous_commit=on /);
  assert.equal(url.searchParams.get("application_name"), "x");
  assert.equal(url.searchParams.get("port"), "1");
});

test("a URL without options is left alone", () => {
  const connectionString = "postgres://u:p@h/db?sslmode=require";
  const config = withSessionOptions({ connectionString }, "on");
  assert.equal(config.connectionString, connectionString);
  assert.match(config.options ?? "", /search_path=postlane,pg_catalog/);
});

test("a bigint is a number as long as it is exact", () => {
  assert.equal(parseSafeInteger("9007199254740991"), Number.MAX_SAFE_INTEGER);
  assert.equal(parseSafeInteger("-5"), -5);
  assert.throws(() => parseSafeInteger("9007199254740992"), RangeError);
  assert.throws(() => parseSafeInteger("-9223372036854775808"), RangeError);
});
