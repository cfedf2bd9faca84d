import assert from "node:assert/strict";
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  verify,
  type KeyObject,
} from "node:crypto";
import { test } from "node:test";
import { canonicalFields, signatureOver } from "./dkim-signature.ts";
import { relaxedBody } from "./dkim-relaxed.ts";
import { readHeader } from "./header-fields.ts";
import { createMailSigner, SIGNED_FIELDS_MAX } from "./sign-mail.ts";
import type { SigningKey } from "./signing-key.ts";

// RFC 8463, appendix A: its keys, its message, and what it signs of it.
const RFC_ED25519 = ed25519Key("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=");
const RFC_RSA = createPrivateKey(`-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----`);
const RFC_MESSAGE = [
  "From: Joe SixPack <joe@football.example.com>",
  "To: Suzie Q <suzie@shopping.example.net>",
  "Subject: Is dinner ready?",
  "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)",
  "Message-ID: <20030712040037.46341.5F8J@football.example.com>",
  "",
  "Hi.",
  "",
  "We lost the game.  Are you hungry yet?",
  "",
  "Joe.",
  "",
].join("\r\n");
const RFC_BODY_HASH = "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=";
const RFC_NAMES = ["from", "to", "subject", "date", "message-id", "from", "subject", "date"];
const rfcValue = (algorithm: string, selector: string): string =>
  ` v=1; a=${algorithm}-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n` +
  ` q=dns/txt; s=${selector}; t=1528637909; h=from : to :\r\n` +
  ` subject : date : message-id : from : subject : date;\r\n bh=${RFC_BODY_HASH};\r\n b=`;

test("RFC 8463's example: the same body hash, the same Ed25519 and RSA signatures", async () => {
  const { fields, bodyAt } = readHeader(RFC_MESSAGE);
  assert.equal(createHash("sha256").update(relaxedBody(RFC_MESSAGE, bodyAt)).digest("base64"), RFC_BODY_HASH);
  const canonical = canonicalFields(fields, RFC_NAMES);
  const key = { domain: "football.example.com", privateKey: RFC_ED25519 } as const;
  assert.equal(
    await signatureOver(
      { ...key, selector: "brisbane", algorithm: "ed25519" },
      canonical,
      rfcValue("ed25519", "brisbane"),
    ),
    "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==",
  );
  assert.equal(
    await signatureOver(
      { ...key, privateKey: RFC_RSA, selector: "test", algorithm: "rsa" },
      canonical,
      rfcValue("rsa", "test"),
    ),
    "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeef" +
      "Osk2JzdA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=",
  );
});

test("RFC 8463's example signed whole: Ed25519 in front of RSA, the same body hash, both right", async () => {
  const keys: readonly SigningKey[] = [
    { domain: "football.example.com", selector: "brisbane", algorithm: "ed25519", privateKey: RFC_ED25519 },
    { domain: "football.example.com", selector: "test", algorithm: "rsa", privateKey: RFC_RSA },
  ];
  const text = await signed(RFC_MESSAGE, keys, 1_528_637_909_999);
  assert.ok(text.endsWith(RFC_MESSAGE));
  const header = text.slice(0, -RFC_MESSAGE.length);
  assert.equal(readHeader(header).fields.get("dkim-signature")?.length, 2);
  assert.deepEqual(
    [...header.matchAll(/a=([^;]*)/g)].map((found) => found[1]),
    ["ed25519-sha256", "rsa-sha256"],
  );
  assert.deepEqual(
    [...header.matchAll(/bh=([^;]*)/g)].map((found) => found[1]),
    [RFC_BODY_HASH, RFC_BODY_HASH],
  );
  assert.deepEqual(
    [...header.matchAll(/ t=([^;]*)/g)].map((found) => found[1]),
    ["1528637909", "1528637909"],
  );
  assert.doesNotMatch(header, /\b[li]=/);
  for (const line of header.split("\r\n")) assert.ok(line.length <= 78, line);
  assertSigned(text, [RFC_ED25519, RFC_RSA]);
});

const { privateKey } = generateKeyPairSync("ed25519");
const KEYS: readonly SigningKey[] = [{ domain: "shop.example", selector: "s1", algorithm: "ed25519", privateKey }];
const BODY = "\r\nHello\r\n";

test("what is signed stands in h= once more than it is there, and what is not there once", async () => {
  const text = await signed(`From: a@shop.example\r\nReceived: x\r\nSubject: s\r\nreferences: <a@b>\r\n${BODY}`, KEYS);
  const names = namesOf(text);
  assert.equal(names.filter((name) => name === "from").length, 2);
  assert.equal(names.filter((name) => name === "subject").length, 2);
  for (const name of ["to", "cc", "list-unsubscribe", "list-unsubscribe-post", "list-id", "feedback-id", "date"]) {
    assert.equal(names.filter((one) => one === name).length, 1, name);
  }
  assert.deepEqual(names.filter((name) => name === "references").length, 1);
  assert.ok(!names.includes("received") && !names.includes("dkim-signature"));
});

test("signatures of others stay as they are, also one by the same key", async () => {
  const others = "DKIM-Signature: v=1; d=shop.example; s=s1; b=abc\r\nFrom: a@shop.example\r\n";
  const text = await signed(others + BODY, KEYS);
  assert.ok(text.endsWith(others + BODY));
  assertSigned(text, [privateKey]);
});

test("fields with white space before the colon, none behind it, and folded ones are the same fields", async () => {
  const text = await signed(`from \t:a@shop.example\r\nSubject:\r\n \t a\r\n\tb \t\r\nTo:b@x.example\r\n${BODY}`, KEYS);
  const { fields } = readHeader(text);
  assert.equal(
    canonicalFields(fields, ["from", "subject", "to", "cc"]),
    "from:a@shop.example\r\nsubject:a b\r\nto:b@x.example\r\n",
  );
  assertSigned(text, [privateKey]);
});

test("a mail without a From, with two, with one that cannot be read, or with too many fields is not signed", () => {
  const signer = createMailSigner({ keysFor: () => KEYS });
  const many = "To: a@x.example\r\n".repeat(SIGNED_FIELDS_MAX);
  for (const header of [
    "Subject: x\r\n",
    "From: a@shop.example\r\nFROM: b@shop.example\r\n",
    "From: nobody\r\n",
    "From: a@shop.example, b@other.example\r\n",
    `From: a@shop.example\r\n${many}`,
    "",
  ]) {
    assert.equal(signer.sign({ text: header + BODY, isAscii: true }, 0), undefined, header.slice(0, 80));
  }
});

test("the domain of the From field finds the keys, however it is written", () => {
  const asked: string[] = [];
  const signer = createMailSigner({
    keysFor(domain) {
      asked.push(domain);
      return KEYS;
    },
  });
  for (const [value, domain] of [
    ["a@Shop.Example", "shop.example"],
    ['"x@evil.example, y" <a@shop.example>', "shop.example"],
    ["(a@evil.example (nested)) Ann <a@shop.example> (done)", "shop.example"],
    ["a@shop.example, Bob <b@SHOP.example>", "shop.example"],
    [Buffer.from("Jörg <jörg@bücher.example>").toString("latin1"), "xn--bcher-kva.example"],
    ["<a@shop.example> <b@evil.example>", undefined],
    ["Ann a@shop.example", undefined],
    ["a@[192.0.2.1]", undefined],
  ] as const) {
    asked.length = 0;
    assert.equal(signer.signs(`From: ${value}\r\n`), domain !== undefined, value);
    assert.deepEqual(asked, domain === undefined ? [] : [domain], value);
  }
  asked.length = 0;
  assert.ok(signer.signsFrom("Jörg <jörg@bücher.example>"));
  assert.deepEqual(asked, ["xn--bcher-kva.example"]);
});

test("a key that cannot sign says which one, and what to do", async () => {
  const small = { ...KEYS[0]!, algorithm: "rsa" } as const;
  const wrong = generateKeyPairSync("x25519").privateKey;
  await assert.rejects(
    signed(`From: a@shop.example\r\n${BODY}`, [{ ...small, privateKey: wrong }]),
    /s1 of shop\.example/,
  );
});

test("a large body is hashed on another thread, to the same hash", async () => {
  for (const line of ["A".repeat(76), "words  and\t blanks \t"]) {
    const text = await signed(`From: a@shop.example\r\n\r\n${`${line}\r\n`.repeat(3000)}\r\n\r\n`, KEYS);
    assertSigned(text, [privateKey]);
  }
});

async function signed(text: string, keys: readonly SigningKey[], wallMs = 1_700_000_000_000): Promise<string> {
  // oxlint-disable-next-line no-control-regex
  const isAscii = /^[\u0000-\u007f]*$/.test(text);
  const content = await createMailSigner({ keysFor: () => keys }).sign({ text, isAscii }, wallMs);
  assert.ok(content !== undefined, "it was not signed");
  return content.text;
}

function namesOf(text: string): readonly string[] {
  return /h=([^;]*);/.exec(text)![1]!.replace(/\s/g, "").split(":");
}

// Written anew from RFC 6376, with nothing of what is tested: by lines and regular expressions.
function assertSigned(text: string, keys: readonly KeyObject[]): void {
  const at = text.indexOf("\r\n\r\n");
  const fields = text.slice(0, at).split(/\r\n(?![ \t])/);
  const lines = text
    .slice(at + 4)
    .split("\r\n")
    .map((line) => line.replace(/[ \t]+/g, " ").replace(/ $/, ""));
  const body = lines.join("\r\n").replace(/(?:\r\n)*$/, "");
  const hash = createHash("sha256")
    .update(body === "" ? "" : `${body}\r\n`, "latin1")
    .digest("base64");
  const relaxed = (field: string): string => {
    const [, name, value] = /^([^:]*?)[ \t]*:([^]*)$/.exec(field)!;
    return `${name!.toLowerCase()}:${value!
      .replace(/\r\n/g, "")
      .replace(/[ \t]+/g, " ")
      .replace(/^ | $/g, "")}`;
  };
  for (const [index, key] of keys.entries()) {
    const field = fields[index]!;
    assert.equal(/bh=([^;]*);/.exec(field)![1], hash);
    const rest = fields.slice();
    const picked = namesOf(field).flatMap((name) => {
      const found = rest.findLastIndex((one) => new RegExp(`^${name}[ \\t]*:`, "i").test(one));
      return found < 0 ? [] : rest.splice(found, 1);
    });
    const data = [...picked, field.replace(/\bb=[^;]*$/, "b=")].map(relaxed).join("\r\n");
    const signature = Buffer.from(/\bb=([^;]*)$/.exec(field)![1]!.replace(/\s/g, ""), "base64");
    const isRsa = key.asymmetricKeyType === "rsa";
    const digest = createHash("sha256").update(data, "latin1").digest();
    const isRight = isRsa
      ? verify("sha256", Buffer.from(data, "latin1"), createPublicKey(key), signature)
      : verify(null, digest, createPublicKey(key), signature);
    assert.ok(isRight, data);
  }
}

function ed25519Key(seed: string): KeyObject {
  const prefix = Buffer.from("302e020100300506032b657004220420", "hex");
  return createPrivateKey({ key: Buffer.concat([prefix, Buffer.from(seed, "base64")]), format: "der", type: "pkcs8" });
}
