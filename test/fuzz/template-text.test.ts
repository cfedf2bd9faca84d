// Text made from HTML, over generated pages: whatever stands in them, a template is prepared or refused and never throws;
// a value that the HTML prints once is printed once in the text; and preparing what was prepared changes nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fillTemplate, openTemplate } from "../../src/templates/fill-template.ts";
import { prepareTemplate } from "../../src/templates/prepare-template.ts";

const words = fc.string({ unit: fc.constantFrom("a", "é", " ", "&amp;", "&#123;", "\ue000", "7", "\n"), maxLength: 8 });
const leaf = fc.oneof(
  words,
  fc.constantFrom("<br>", "<img alt='x'>", "{% comment %}<b>{% endcomment %}", "{% raw %}{{ z }}{% endraw %}"),
);
const { page } = fc.letrec<{ page: string }>((tie) => ({
  page: fc.oneof(
    { maxDepth: 5 },
    leaf,
    fc
      .tuple(fc.constantFrom("p", "div", "ul", "li", "td", "tr", "table", "h1", "b", "a href='{{ url }}'"), tie("page"))
      .map(([tag, inner]) => `<${tag}>${inner}</${tag.split(" ")[0]}>`),
    tie("page").map((inner) => `{% if yes %}${inner}{% else %}no{% endif %}`),
    tie("page").map((inner) => `{% for n in (1..2) %}${inner}{% endfor %}`),
    fc.tuple(tie("page"), tie("page")).map((both) => both.join("")),
  ),
}));
const VARIABLES = { yes: true, url: "https://example.com/", mark: "MARK" };

test("what the HTML prints is printed by the text that is made from it, and once is enough", () => {
  fc.assert(
    fc.property(page, page, (before, after) => {
      const html = `<body>${before}<p>{{ mark }}</p>${after}</body>`;
      const made = prepareTemplate({ subject: "s", html });
      if (made.kind === "bad") assert.fail(JSON.stringify(made.problems));
      const { text } = fillTemplate(openTemplate(made.source), VARIABLES);
      assert.equal(text!.split("MARK").length, 2, text);
      assert.deepEqual(prepareTemplate(made.source), { ...prepareTemplate(made.source), source: made.source });
    }),
    { numRuns: 150 },
  );
});

test("any HTML is prepared or refused", () => {
  const odd = fc.string({
    unit: fc.oneof(
      fc.constantFrom(
        "<",
        ">",
        "{{",
        "}}",
        "{%",
        "%}",
        "a",
        "raw",
        "endraw",
        "layout",
        " ",
        "'",
        "\0",
        "&",
        "render 'x'",
        "</",
        "<!--",
        "-->",
      ),
      fc.string({ maxLength: 1 }),
    ),
    maxLength: 40,
  });
  fc.assert(
    fc.property(odd, odd, (html, partial) => {
      const answer = prepareTemplate({ subject: "s", html, partials: { "x.html": partial } });
      assert.ok(answer.kind === "template" ? typeof answer.source.text === "string" : answer.problems.length > 0);
    }),
    { numRuns: 500 },
  );
});
