import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePublicUrl, pathOfPublicUrl } from "./public-url.ts";

test("an address is taken without the slash at its end; its path is what the front serves", () => {
  assert.equal(parsePublicUrl("https://mail.example.com"), "https://mail.example.com");
  assert.equal(parsePublicUrl("https://Mail.example.com:8443/post/"), "https://mail.example.com:8443/post");
  assert.equal(pathOfPublicUrl("https://mail.example.com/post/x"), "/post/x");
  assert.equal(pathOfPublicUrl("https://mail.example.com"), "");
});

test("plain http is for this machine alone", () => {
  for (const host of ["127.0.0.1:2580", "localhost", "[::1]:2580"]) {
    assert.equal(parsePublicUrl(`http://${host}`), `http://${host}`);
  }
  assert.equal(parsePublicUrl("http://mail.example.com"), undefined);
});

test("what cannot stand in a header, or is more than an address, is none", () => {
  const bad = [
    "",
    "mail.example.com",
    "ftp://a.example",
    "https://",
    "https://u:p@a.example",
    "https://a.example/?x=1",
  ];
  for (const text of [
    ...bad,
    "https://a.example/#x",
    "https://a.example/ b",
    "https://a.example/>",
    "https://bücher.example",
  ]) {
    assert.equal(parsePublicUrl(text), undefined, text);
  }
  assert.equal(parsePublicUrl(`https://a.example/${"x".repeat(500)}`), undefined);
});
