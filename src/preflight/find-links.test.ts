import assert from "node:assert/strict";
import { test } from "node:test";
import { linkProblem, linksIn, linksInText, showsUnsubscribe } from "./find-links.ts";

const IDS = new Set(["logo"]);

/** HTML → what is wrong with its links. */
const HTML: readonly (readonly [html: string, codes: readonly string[]])[] = [
  ['<a href="https://shop.example/a?b=1&amp;c=2">x</a>', []],
  ["<a class='b' href='https://shop.example/'>x</a>", []],
  ["<A HREF=https://shop.example/>x</A>", []],
  ['<a name="top">x</a>', []],
  ['<a href="#top">x</a>', []],
  ['<a data-href="x" href="mailto:a@shop.example">x</a>', []],
  ['<a href="tel:+49301234">x</a>', []],
  ['<a href="mailto:">x</a>', ["link_empty"]],
  ['<a href="">x</a>', ["link_empty"]],
  ['<a href=" # ">x</a>', ["link_empty"]],
  ['<a href="shop.example">x</a>', ["link_broken"]],
  ['<a href="/news">x</a>', ["link_broken"]],
  ['<a href="//shop.example/news">x</a>', ["link_broken"]],
  ['<a href="https://">x</a>', ["link_broken"]],
  ['<a href="https://shop example/">x</a>', ["link_broken"]],
  ['<a href="javascript:alert(1)">x</a>', ["link_broken"]],
  ['<a href="file:///etc/hosts">x</a>', ["link_broken"]],
  ['<a href="http://shop.example/">x</a>', ["link_insecure"]],
  ['<a href="http://localhost:3000/">x</a>', ["link_private"]],
  ['<a href="https://intranet/">x</a>', ["link_private"]],
  ['<a href="https://shop.local/">x</a>', ["link_private"]],
  ['<a href="https://192.168.1.1/">x</a>', ["link_private"]],
  ['<a href="https://[::1]/">x</a>', ["link_private"]],
  ['<a href="https://8.8.8.8/">x</a>', []],
  ['<area href="http://shop.example/"><area>', ["link_insecure"]],
  ['<img src="https://shop.example/a.png">', []],
  ['<img alt="a > b" src="http://shop.example/a.png"/>', ["image_insecure"]],
  ['<img src="data:image/png;base64,AAAA">', ["image_insecure"]],
  ['<img src="a.png">', ["image_insecure"]],
  ['<img alt="">', ["image_insecure"]],
  ['<img src="cid:logo">', []],
  ['<img src="cid:other">', ["image_missing"]],
  ['<img src="https://localhost/a.png">', ["link_private"]],
  ["<abbr href='x'>", []],
  ['<a href="unclosed', []],
];

for (const [html, codes] of HTML) {
  test(`${html}: ${codes.join(", ") || "nothing"}`, () => {
    const found = linksIn(html).flatMap((link) => linkProblem(link, IDS) ?? []);
    assert.deepEqual(
      found.map(({ code }) => code),
      codes,
    );
  });
}

test("character references are read as a program reads them", () => {
  assert.deepEqual(linksIn('<a href="https://a.example/?b=1&amp;c=&#38;&unknown;">x</a>'), [
    { kind: "link", target: "https://a.example/?b=1&c=&&unknown;" },
  ]);
});

test("addresses in a text end before what ends the sentence", () => {
  const found = linksInText("See https://a.example/b?c=d. Or (http://e.example/f), <https://g.example/>!");
  assert.deepEqual(
    found.map(({ target }) => target),
    ["https://a.example/b?c=d", "http://e.example/f", "https://g.example/"],
  );
});

test("hostile HTML is looked through in time that grows with its length", () => {
  const begunMs = performance.now();
  for (const piece of ["<a ", '<a href="', "<a href='x' ", "<a <a\"'"]) {
    linksIn(piece.repeat(300_000));
    showsUnsubscribe(piece.repeat(30_000), undefined, undefined);
  }
  assert.ok(performance.now() - begunMs < 20_000, `${performance.now() - begunMs} ms`);
});

const VISIBLE: readonly (readonly [html: string | undefined, text: string | undefined, isShown: boolean])[] = [
  ['<a href="https://u.example/u/t">here</a>', undefined, true],
  ['<a href="https://u.example/u/t?a=1&amp;b=2">here</a>', undefined, true],
  ['<a href="https://shop.example/leave">Unsubscribe</a>', undefined, true],
  ['<a href="https://shop.example/leave"><b>Hier abmelden</b></a>', undefined, true],
  ["<p>To unsubscribe, write to us.</p>", undefined, false],
  ['<a href="https://shop.example/">Shop</a>', "https://u.example/u/t", true],
  ['<a href="https://shop.example/">Shop</a>', "Hello", false],
  [undefined, "To unsubscribe, answer this mail.", true],
  [undefined, "Hello", false],
];

for (const [html, text, isShown] of VISIBLE) {
  test(`${html ?? text}: ${isShown ? "shows" : "does not show"} where to unsubscribe`, () => {
    assert.equal(showsUnsubscribe(html, text, "https://u.example/u/t"), isShown);
  });
}
