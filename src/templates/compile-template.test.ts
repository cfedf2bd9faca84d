import assert from "node:assert/strict";
import { test } from "node:test";
import { TemplateRefused, type Piece } from "./compiled-template.ts";
import { compileTemplate } from "./compile-template.ts";
import { fillPieces } from "./fill-pieces.ts";

const put = (pieces: readonly Piece[] | undefined, data: Record<string, unknown>): string =>
  fillPieces("part", pieces ?? [], data);

test("values are escaped in HTML, once, and nowhere else", () => {
  const body = "{{ a }}|{{ a | escape }}|{{ a | raw }}|{{ a | upcase }}|{{ none | default: '<' }}";
  const compiled = compileTemplate({ subject: body, html: body, text: body });
  const data = { a: "<O'N & co>" };
  assert.equal(
    put(compiled.html, data),
    "&lt;O&#39;N &amp; co&gt;|&lt;O&#39;N &amp; co&gt;|<O'N & co>|&lt;O&#39;N &amp; CO&gt;|&lt;",
  );
  const plain = "<O'N & co>|&lt;O&#39;N &amp; co&gt;|<O'N & co>|<O'N & CO>|<";
  assert.equal(put(compiled.text, data), plain);
  assert.equal(put(compiled.subject, data), plain);
});

test("constants stay whole; conditions, loops and assignments work", () => {
  assert.deepEqual(
    compileTemplate({ subject: "a{% comment %}b{% endcomment %}c{% raw %}{{ d }}{% endraw %}" }).subject,
    ["ac{{ d }}"],
  );
  const text =
    "{% assign x = a | upcase %}{% if x == 'ANN' %}{% for i in (1..3) %}{{ i }}{{ x }} {% endfor %}{% endif %}";
  assert.equal(put(compileTemplate({ subject: "s", text }).text, { a: "ann" }), "1ANN 2ANN 3ANN ");
});

test("the preheader hides at the top of the body, escaped", () => {
  const preheader = "For {{ a }}";
  const hidden = '<div style="display:none;max-height:0;overflow:hidden;mso-hide:all">For &lt;b&gt;</div>';
  const htmlOf = (html: string) => put(compileTemplate({ subject: "s", preheader, html }).html, { a: "<b>" });
  assert.equal(htmlOf("<p>x</p>"), `${hidden}<p>x</p>`);
  assert.equal(
    htmlOf("<html><BODY class='a>b' {% if a > '1' %}x{% endif %}>\n<p>"),
    `<html><BODY class='a>b' x>${hidden}\n<p>`,
  );
  const broken = `<body ${"{{ a | raw }}".repeat(2000)}"`;
  assert.ok(htmlOf(broken).startsWith(hidden));
});

test("nothing is read through a prototype, and no file at all", () => {
  const compiled = compileTemplate({ subject: "{{ constructor }}{{ __proto__ }}{{ a.constructor.name }}" });
  assert.equal(put(compiled.subject, { a: "x" }), "");
  for (const tag of ["{% include 'x' %}", "{% render 'x' %}", "{% layout 'x' %}", "{% echo a %}", "{% cycle a, b %}"])
    assert.throws(() => compileTemplate({ subject: "s", text: tag }), TemplateRefused, tag);
  assert.throws(() => compileTemplate({ subject: "{{ a | nonsense }}" }), /undefined filter: nonsense/);
});

test("a rendering that would not end, or not fit, ends in an error", () => {
  const endless = [
    "{% for i in (1..100000000) %}x{% endfor %}",
    "{% for i in (1..4000) %}{% for j in (1..4000) %}{% for k in (1..4000) %}{% endfor %}{% endfor %}{% endfor %}",
    `{% for i in (1..100000) %}${"x".repeat(100)}{% endfor %}`,
    "{% assign a = 'x' %}{% for i in (1..60) %}{% assign a = a | append: a %}{% endfor %}{{ a }}",
  ];
  for (const text of endless) {
    const compiled = compileTemplate({ subject: "s", text });
    assert.throws(() => put(compiled.text, {}), TemplateRefused, text.slice(0, 60));
  }
});

test("loops end by their rounds, and a range that could not be counted to its end is none", () => {
  const data = { rows: Array.from({ length: 1001 }, (_, index) => index), large: 2 ** 60, larger: 2 ** 60 + 1024 };
  const square = "{% for i in rows %}{% for j in rows %}{% endfor %}{% endfor %}";
  assert.throws(() => put(compileTemplate({ subject: square }).subject, data), /go round more than 1000000 times/);
  for (const range of ["(large..larger)", "(9007199254740990..9007199254740993)"])
    assert.throws(
      () => put(compileTemplate({ subject: `{% for i in ${range} %}x{% endfor %}` }).subject, data),
      /too large to count/,
      range,
    );
});

test("what fails at send time says where", () => {
  const text = "Hello\n{% for item in items %}\n  {{ item.name }}{% if item.name < 3 %}!{% endif %}\n{% endfor %}";
  const { text: pieces } = compileTemplate({ subject: "s", text });
  const refusalOf = (name: unknown): string => {
    try {
      return put(pieces, { items: [{ name }] });
    } catch (error) {
      assert.ok(error instanceof TemplateRefused);
      return error.message;
    }
  };
  assert.equal(refusalOf(1), "Hello\n\n  1!\n");
  assert.match(refusalOf({ toString: "no text" }), /^body\.txt:3:3: Cannot convert object to primitive value$/);
  const { text: dated } = compileTemplate({ subject: "s", text: "\n{{ a | append }}" });
  assert.throws(() => put(dated, {}), /^TemplateRefused: body\.txt:2:1: append expect 2 arguments$/);
});

test("a node that is left to Liquid sees the loops around it, and what it assigns is seen behind it", () => {
  const text =
    "{% for i in (1..3) %}{% capture c %}{{ forloop.index }}/{{ forloop.length }}:{{ i }}{% endcapture %}" +
    "{{ c }} {% liquid if i == 2\n break\n endif %}{% endfor %}{{ c }}{% assign c = a.b[0] %}{{ c }}";
  assert.equal(put(compileTemplate({ subject: "s", text }).text, { a: { b: ["x"] } }), "1/3:1 2/3:2 2/3:2x");
});
