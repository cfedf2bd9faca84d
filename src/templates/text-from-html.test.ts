import assert from "node:assert/strict";
import { test } from "node:test";
import { HTML_DEPTH_MAX, TEXT_FROM_HTML_CHARS_MAX, textFromHtml } from "./text-from-html.ts";
import { liquidFor, renderNodes } from "./liquid-engine.ts";

function made(html: string): string {
  const text = textFromHtml(html);
  assert.equal(text.kind, "made", text.kind === "bad" ? text.why : "");
  return text.kind === "made" ? text.text : "";
}

function rendered(html: string, data: Record<string, unknown>): string {
  const engine = liquidFor("text");
  return renderNodes(engine, engine.parse(made(html)), data);
}

test("outputs and tags stay where they were, links are written out, what only a screen needs is gone", () => {
  const html = `<html><head><title>{{ subject }}</title><style>p { color: red }</style></head><body>
    <h1>Hi {{ name | escape }}</h1><img src="x.png" alt="Logo">
    <p>See <a href="https://shop.example/o/{{ id }}">your order</a> &amp; more.</p>
    <table><tr><td>Total</td><td>{{ total }}</td></tr><tr><td>{{ note | raw }}</td></tr></table></body></html>`;
  assert.equal(
    made(html),
    "Hi {{ name }}\n\nLogo\n\nSee your order [https://shop.example/o/{{ id }}] & more.\n\nTotal {{ total }}\n{{ note | strip_html }}\n",
  );
});

test("tags that stand alone leave no empty lines behind", () => {
  const html =
    "<p>Start</p>{% if a %}<p>A</p>{% endif %}<ul>{% for i in list %}<li>{{ i }}</li>{% endfor %}</ul><p>End</p>";
  assert.equal(rendered(html, { a: true, list: [1, 2] }), "Start\n\nA\n\n * 1\n * 2\n\nEnd\n");
  assert.equal(rendered(html, { list: [1] }), "Start\n\n * 1\n\nEnd\n");
});

test("comments go, raw blocks stay, and what was written as character references is no Liquid", () => {
  const html =
    "<p>{% comment %}<b>x{% endcomment %}{% raw %}{{ a }}{% endraw %} &#123;&#123; b }} &#123;% c %} \ue000</p>";
  assert.equal(rendered(html, { a: 1, b: 2 }), "{{ a }} {{ b }} {% c %} \ue000\n");
});

test("what would take too long to convert is refused", () => {
  assert.equal(textFromHtml("<div>".repeat(HTML_DEPTH_MAX + 1)).kind, "bad");
  assert.equal(textFromHtml("<p>x".repeat(1000)).kind, "made");
  assert.equal(textFromHtml("x".repeat(TEXT_FROM_HTML_CHARS_MAX + 1)).kind, "bad");
});
