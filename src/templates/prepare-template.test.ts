import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as limits from "./compiled-template.ts";
import { printProblem, type TemplateSource } from "./compiled-template.ts";
import { compileTemplate } from "./compile-template.ts";
import { fillPieces } from "./fill-pieces.ts";
import { fillTemplate, openTemplate, tryTemplate } from "./fill-template.ts";
import * as files from "./partial-files.ts";
import { PARTIAL_DEPTH_MAX } from "./partial-files.ts";
import { prepareTemplate } from "./prepare-template.ts";
import { HTML_DEPTH_MAX, HTML_ELEMENTS_MAX, TEXT_FROM_HTML_CHARS_MAX } from "./text-from-html.ts";

function prepared(source: TemplateSource): Extract<ReturnType<typeof prepareTemplate>, { kind: "template" }> {
  const answer = prepareTemplate(source);
  if (answer.kind === "bad") assert.fail(answer.problems.map(printProblem).join("\n"));
  return answer;
}

function problemsOf(source: Partial<TemplateSource>): readonly string[] {
  const answer = prepareTemplate({ subject: "s", ...source });
  assert.equal(answer.kind, "bad");
  return answer.kind === "bad" ? answer.problems.map(printProblem) : [];
}

const SHOP: TemplateSource = {
  from: "Shop <shop@example.com>",
  subject: "Order {{ order.id }}",
  preheader: "Thank you, {{ name }}",
  headers: { "X-Order": "{{ order.id }}" },
  html: "{% layout 'base' %}{% block content %}<p>Hi {{ name }}</p>{% render 'rows', rows: order.rows %}{% endblock %}",
  partials: {
    "base.html":
      "<html><body><h1>{{ shop }}</h1>{% block content %}{{ never }}{% endblock %}{% render 'foot' %}</body></html>",
    "rows.html":
      "<ul>{% for row in rows %}<li>{{ row.name }} {{ row.price | format_currency: 'EUR' }}</li>{% endfor %}</ul>",
    "foot.liquid": "Bye {{ name }}",
  },
};
const ORDER = { name: "<b>Ann", shop: "Shop & Co", order: { id: "4711", rows: [{ name: "Tea", price: 4.5 }] } };

test("layouts and partials are filled in, escaped by the part that uses them, and text is made of all of them", () => {
  const { source, required } = prepared(SHOP);
  assert.deepEqual(required, ["name", "order.id", "shop"]);
  assert.equal(
    source.text,
    "{% layout 'base' %}{% block content %}Hi {{ name }}\n\n{% render 'rows', rows: order.rows %}{% endblock %}\n",
  );
  assert.deepEqual(Object.keys(source.partials!).toSorted(), [
    "base.html",
    "base.txt",
    "foot.liquid",
    "rows.html",
    "rows.txt",
  ]);
  const filled = fillTemplate(openTemplate(source), ORDER);
  assert.equal(filled.subject, "Order 4711");
  assert.deepEqual(filled.headers, { "X-Order": "4711" });
  const hidden = '<div style="display:none;max-height:0;overflow:hidden;mso-hide:all">Thank you, &lt;b&gt;Ann</div>';
  assert.equal(
    filled.html,
    `<html><body>${hidden}<h1>Shop &amp; Co</h1><p>Hi &lt;b&gt;Ann</p><ul><li>Tea €4.50</li></ul>Bye &lt;b&gt;Ann</body></html>`,
  );
  assert.match(filled.text!, /^Shop & Co\n+Hi <b>Ann\n+ \* Tea €4\.50\n+Bye <b>Ann\s*$/);
  // The road of campaigns says the same.
  const compiled = compileTemplate(source);
  const put = (pieces: typeof compiled.html) => fillPieces("body", pieces!, ORDER);
  assert.deepEqual([put(compiled.html), put(compiled.text)], [filled.html, filled.text]);
  assert.deepEqual(prepared(source).source, source);
});

test("a partial sees the message's data and what it is given, and not what the text around it assigns", () => {
  const source = prepared({
    subject: "s",
    text: "{% assign a = 'x' %}{% render 'p', given: 'g' %}{% render 'q' for list as item %}",
    partials: { "p.txt": "[{{ given }}{{ name }}{{ a | default: '-' }}]", "q.txt": "({{ item }}{{ forloop.index }})" },
  }).source;
  assert.equal(fillTemplate(openTemplate(source), { name: "n", list: [7, 8] }).text, "[gn-](71)(82)");
});

test("a missing partial, one that uses itself and one without end are told with their place", () => {
  assert.deepEqual(problemsOf({ text: "\n {% render 'foot' %}" }), [
    "body.txt:2:2: there is no partial foot.txt or foot.liquid",
  ]);
  assert.deepEqual(problemsOf({ text: "x {% render name %}" }), [
    "body.txt:1:3: the name of a partial stands in quotes",
  ]);
  const loop = { "a.txt": "{% render 'b' %}", "b.txt": "\n{% render 'a' %}" };
  assert.deepEqual(problemsOf({ text: "{% render 'a' %}", partials: loop }), [
    "partials/b.txt:2:1: partials/a.txt → partials/b.txt → partials/a.txt: a partial cannot use itself",
  ]);
  assert.deepEqual(problemsOf({ text: "{% render 'a' %}", partials: { "a.txt": "x\n{{ x | nope }}" } }), [
    "partials/a.txt:2:1: undefined filter: nope",
  ]);
  const deep = Object.fromEntries(
    Array.from({ length: PARTIAL_DEPTH_MAX + 1 }, (_, n) => [
      `p${n}.txt`,
      n === PARTIAL_DEPTH_MAX ? "" : `{% render 'p${n + 1}' %}`,
    ]),
  );
  assert.match(problemsOf({ text: "{% render 'p0' %}", partials: deep })[0]!, /more than 10 deep/);
  const wide = Object.fromEntries(
    Array.from({ length: 9 }, (_, n) => [`p${n}.txt`, n === 8 ? "x" : `{% render 'p${n + 1}' %}`.repeat(10)]),
  );
  assert.match(problemsOf({ text: "{% render 'p0' %}", partials: wide })[0]!, /more than 500 times/);
});

test("names, headers, mailboxes, locale and zone are checked", () => {
  const problems = problemsOf({
    from: "nobody",
    text: "x",
    headers: { Bcc: "x", "bad name": "x", "X-A": "1", "x-a": "2" },
    partials: { "../x.html": "" },
    locale: "!",
    time_zone: "Mars",
  });
  for (const word of ["from", "Bcc", "bad name", "X-A", "../x.html", "not a locale", "not a time zone"])
    assert.ok(
      problems.some((problem) => problem.includes(word)),
      word,
    );
  assert.equal(problems.length, 8);
});

test("a variable that is missing is an error where it is used, unless the template says that it may be", () => {
  const { template, required } = prepared({
    subject: "s",
    text: "{{ a | default: '-' }}{% if b %}{{ b }}{% endif %}\n{% for o in orders %}{{ o.total }}{% endfor %}{{ c }}",
  });
  assert.deepEqual(required, ["c"]);
  assert.deepEqual(tryTemplate(template, { orders: [], c: 1 }), []);
  const missing = tryTemplate(template, { orders: [{ total: 1 }, {}], c: 1 }).map(printProblem);
  assert.deepEqual(missing, ["body.txt:2:25: undefined variable: o.total"]);
});

test("the limits stand in the reference with their figures", () => {
  const page = readFileSync(new URL("../../../docs/reference/templates.md", import.meta.url), "utf8");
  const named = { ...limits, ...files, TEXT_FROM_HTML_CHARS_MAX, HTML_DEPTH_MAX, HTML_ELEMENTS_MAX };
  const known = Object.entries(named).filter(([name]) => name.endsWith("_MAX"));
  assert.ok(known.length >= 10);
  for (const [name, value] of known)
    assert.ok(page.includes(`| \`${name.toLowerCase()}\` | ${value.toLocaleString("en")} |`), name);
});

test("what would keep the parser busy is refused at once", () => {
  const many = "{{ a }}".repeat(limits.LIQUID_TAGS_MAX + 1);
  assert.match(problemsOf({ text: many })[0]!, /has 20001 tags and outputs/);
  assert.match(problemsOf({ text: "{% render 'p' %}", partials: { "p.txt": many } })[0]!, /^partials\/p\.txt:1:1: has/);
  assert.match(problemsOf({ text: "{% if a %}".repeat(15_000) })[0]!, /too deep within one another|not closed/);
  assert.match(problemsOf({ html: "<b></b>".repeat(20_001) })[0]!, /more than 20000 elements/);
});

test("a loop without measure ends in an error at its place", () => {
  const { template } = prepared({
    subject: "s",
    text: "a\n {% for i in (1..4000) %}{% for j in (1..4000) %}{% for k in (1..4000) %}{% endfor %}{% endfor %}{% endfor %}",
  });
  const [problem] = tryTemplate(template, {});
  assert.deepEqual([problem?.file, problem?.line], ["body.txt", 2]);
  assert.match(problem!.message, /limit exceeded/);
});
