// What a POST says, as browsers and mail programs write it, and as nobody should.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readFormFields } from "../pages/form-fields.ts";
import { readUnsubscribeForm } from "./unsubscribe-form.ts";

const FORM = "application/x-www-form-urlencoded";
const read = (type: string, body: string) => readUnsubscribeForm(readFormFields(type, Buffer.from(body)));
const ONE_CLICK = { kind: "unsubscribe", door: "one_click", isAll: false };

test("one click is read from a form and from multipart, whatever stands beside it", async () => {
  assert.deepEqual(read(FORM, "List-Unsubscribe=One-Click"), ONE_CLICK);
  assert.deepEqual(read(`${FORM}; charset=utf-8`, "x=1&List-Unsubscribe=One-Click&y="), ONE_CLICK);
  assert.deepEqual(read("", "List-Unsubscribe=One-Click"), ONE_CLICK);
  const form = new FormData();
  form.set("first", "1");
  form.set("List-Unsubscribe", "One-Click");
  const written = new Response(form);
  assert.deepEqual(read(written.headers.get("content-type")!, await written.text()), ONE_CLICK);
  const quoted = '--b c\nContent-Disposition: form-data; name="List-Unsubscribe"\n\nOne-Click\n--b c--\n';
  assert.deepEqual(read('Multipart/Form-Data; boundary="b c"', quoted), ONE_CLICK);
});

test("the page's buttons say that a person is there, and the second one that all is meant", () => {
  assert.deepEqual(read(FORM, "List-Unsubscribe=One-Click&page=list"), { ...ONE_CLICK, door: "page" });
  assert.deepEqual(read(FORM, "List-Unsubscribe=One-Click&page=all"), { ...ONE_CLICK, door: "page", isAll: true });
});

test("nothing else is taken for it, and nothing makes it fail", () => {
  for (const body of ["", "List-Unsubscribe", "List-Unsubscribe=", "list=One-Click", "One-Click"]) {
    assert.deepEqual(read(FORM, body), { kind: "other" }, body);
    assert.deepEqual(read("multipart/form-data; boundary=b", body), { kind: "other" }, body);
  }
  const type = fc.oneof(
    fc.string(),
    fc.string().map((boundary) => `multipart/form-data; boundary=${boundary}`),
  );
  fc.assert(
    fc.property(type, fc.uint8Array({ maxLength: 200 }), (given, body) => {
      assert.equal(readUnsubscribeForm(readFormFields(given, Buffer.from(body))).kind, "other");
    }),
    { numRuns: 2000 },
  );
});
