// The content of a mail, read octet by octet: dots, the end, what must not be in it, and how much of it is kept.

import assert from "node:assert/strict";
import { test } from "node:test";
import { FALSE_ENDS } from "../../../test/rig/false-ends.ts";
import { ContentReader, createReadingRoom, type ContentRead } from "./read-content.ts";

const ROOMY = 2 ** 20;

function read(wire: string, bytesMax = ROOMY): { readonly used: number | undefined; readonly read: ContentRead } {
  const reader = new ContentReader(createReadingRoom(ROOMY), bytesMax);
  const used = reader.feed(Buffer.from(wire, "latin1"));
  return { used, read: reader.end() };
}

function content(wire: string): string {
  const { read: ended } = read(wire);
  return ended.kind === "whole" ? ended.content.toString("latin1") : ended.fault;
}

test("a dot at the start of a line is taken out, whatever follows it", () => {
  assert.equal(content("..\r\n...\r\n.a\r\nb.\r\n.\r\n"), ".\r\n..\r\na\r\nb.\r\n");
});

test("it ends at CR LF . CR LF, and what is behind is not its", () => {
  assert.deepEqual(read(".\r\nQUIT\r\n").used, 3);
  assert.deepEqual(read("a\r\n.\r\nQUIT\r\n").used, 6);
  assert.equal(read("a\r\n.").used, undefined);
});

test("what must not be in a mail is noticed, and never ends it", () => {
  for (const end of FALSE_ENDS) {
    const wire = `a${end}b`;
    const { used, read: ended } = read(wire);
    assert.equal(used, undefined, JSON.stringify(wire));
    assert.equal(ended.kind, "faulty", JSON.stringify(wire));
  }
  assert.equal(content("\0"), "nul");
  assert.equal(content("\r\n\n"), "bare_lf");
  assert.equal(content("a\rb"), "bare_cr");
});

test("what is too large is read to its end and forgotten", () => {
  const room = createReadingRoom(ROOMY);
  const reader = new ContentReader(room, 10);
  assert.equal(reader.feed(Buffer.from("0123456789\r\n")), undefined);
  assert.equal(reader.feed(Buffer.from("more\r\n.\r\n")), 9);
  assert.deepEqual(reader.end(), { kind: "faulty", fault: "too_large" });
  assert.ok(room.claim(ROOMY), "all of the room is free again");
});

test("room is claimed as the mail grows, and given back once", () => {
  const room = createReadingRoom(ROOMY);
  const [first, second] = [new ContentReader(room, ROOMY), new ContentReader(room, ROOMY)];
  first.feed(Buffer.alloc(ROOMY - 8192, "a"));
  second.feed(Buffer.alloc(9000, "a"));
  assert.deepEqual(second.end(), { kind: "faulty", fault: "no_room" });
  second.drop();
  first.drop();
  first.drop();
  assert.ok(room.claim(ROOMY) && !room.claim(1), "exactly all of the room is free again");
});
