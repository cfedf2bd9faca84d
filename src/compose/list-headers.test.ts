// The headers of lists as two readers that nobody here wrote see them, and what counts as one of the caller's own.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { simpleParser } from "mailparser";
import PostalMime from "postal-mime";
import { listHeadersIn, listIdHeader, ownListHeaders, unsubscribeHeaders } from "./list-headers.ts";

const BY = { url: "https://mail.example.com/u/aaaabbbbccccddddeeeeffff", address: "u+aaaabbbb@returns.example.com" };
const names = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/);

test("both addresses stand in one field, in brackets, and the field of one click beside it", async () => {
  const lines = unsubscribeHeaders(BY) + listIdHeader("weekly-news", "shop.example");
  const { headers } = await PostalMime.parse(`From: a@b.example\r\n${lines}\r\nHello\r\n`);
  const valueOf = (key: string): string | undefined => headers.find((header) => header.key === key)?.value;
  assert.equal(valueOf("list-unsubscribe"), `<${BY.url}>, <mailto:${BY.address}?subject=unsubscribe>`);
  assert.equal(valueOf("list-unsubscribe-post"), "List-Unsubscribe=One-Click");
  assert.equal(valueOf("list-id"), "weekly-news <weekly-news.shop.example>");
  const parsed = await simpleParser(`From: a@b.example\r\n${lines}\r\nHello\r\n`);
  const list = parsed.headers.get("list") as unknown as Readonly<Record<string, Readonly<Record<string, string>>>>;
  assert.equal(list["unsubscribe"]?.["url"], BY.url);
  assert.equal(list["id"]?.["id"], "weekly-news.shop.example");
  assert.equal(unsubscribeHeaders({ url: BY.url }).split("\r\n")[0], `List-Unsubscribe: <${BY.url}>`);
});

test("whatever the list is called, its id is a dot-atom within the limits, or there is none", () => {
  const domains = fc.domain();
  fc.assert(
    fc.property(names, domains, (name, domain) => {
      const header = listIdHeader(name, domain);
      if (header === "") {
        assert.ok(name.length + domain.length > 250);
        return;
      }
      const id = /<([^<>]*)>\r\n$/.exec(header)?.[1] ?? "";
      assert.match(id, /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+$/);
      assert.ok(id.length + 2 <= 255);
      for (const line of header.split("\r\n")) assert.ok(line.length <= 257, line);
    }),
  );
  assert.equal(listIdHeader("a", `${"x".repeat(250)}.example`), "");
  assert.equal(listIdHeader("a", "bücher.example"), "");
});

test("a caller's own are seen in whatever case, folded or with a space; those in a body or a value are none", () => {
  const own = { hasUnsubscribe: true, hasListId: false };
  const none = { hasUnsubscribe: false, hasListId: false };
  const seen = [
    "List-Unsubscribe: <x>\r\n\r\n",
    "Subject: a\r\nLIST-UNSUBSCRIBE : <x>\r\n\r\nbody",
    "Subject: a\r\n b\r\nlist-unsubscribe:\r\n <x>\r\nTo: b\r\n\r\n",
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n",
    "DKIM-Signature: v=1; h=from:to:\r\n list-unsubscribe; b=x\r\n\r\n",
  ];
  for (const mail of seen) assert.deepEqual(listHeadersIn(mail), own, mail);
  const unseen = [
    "Subject: List-Unsubscribe: <x>\r\n\r\n",
    "Subject: a\r\n list-unsubscribe: x\r\n\r\n",
    "Subject: a\r\n\r\nList-Unsubscribe: <x>\r\n",
    "X-List-Unsubscribe: x\r\nDKIM-Signature: h=from\r\n\r\n",
    "",
    "\r\n\r\n",
    "no colon\r\n",
  ];
  for (const mail of unseen) assert.deepEqual(listHeadersIn(mail), none, mail);
  assert.deepEqual(ownListHeaders({ "LIST-ID": "<a.b>", "X-A": "b" }), { hasUnsubscribe: false, hasListId: true });
  assert.deepEqual(ownListHeaders(undefined), none);
  fc.assert(fc.property(fc.string({ maxLength: 300 }), (mail) => typeof listHeadersIn(mail).hasListId === "boolean"));
});
