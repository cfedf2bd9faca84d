// A compiled template's pieces, put together, are what liquidjs renders, byte for byte, over generated templates and
// data of every JSON kind; and no text, however broken, makes the parser do anything but parse it or say where it fails.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Piece } from "../../src/templates/compiled-template.ts";
import { compileTemplate } from "../../src/templates/compile-template.ts";
import { liquidFor, type PartKind } from "../../src/templates/liquid-engine.ts";
import { parseTemplate } from "../../src/templates/parse-template.ts";
import { templateVariables } from "../../src/templates/template-variables.ts";

const names = [
  "a",
  "b",
  "size",
  "first",
  "constructor",
  "__proto__",
  "toString",
  "user.name",
  "a.size",
  'user["name"]',
];
const filterChains = [
  "",
  ' | default: "x<y"',
  " | default: 7",
  " | default: b",
  " | default: nil",
  " | default: 'z', allow_false: true",
  " | escape",
  " | escape | default: 'q'",
  " | raw",
  " | raw | escape",
  " | upcase",
  " | default: '' | default: \"second\" | append: '!'",
];
const output = fc
  .tuple(fc.constantFrom(...names), fc.constantFrom(...filterChains), fc.boolean(), fc.boolean())
  .map(([name, chain, left, right]) => `{{${left ? "-" : ""} ${name}${chain} ${right ? "-" : ""}}}`);
const constant = fc.oneof(
  fc.constantFrom(
    "plain <b>&amp;</b> ",
    " \n ",
    "{% raw %}{{ no }}{% endraw %}",
    "{% comment %}x{% endcomment %}",
    "{",
    "}}",
    "%}",
  ),
  fc.string({ maxLength: 12 }).filter((text) => !/[{]/.test(text)),
);
const block = fc
  .tuple(
    fc.constantFrom(
      ["{% if a %}", "{% else %}no{% endif %}"],
      ["{% unless b == 'x' %}", "{% endunless %}"],
      ["{% for i in (1..3) %}{{ i }}{{ forloop.last }}", "{% endfor %}"],
      ["{% for i in list limit: 1 %}{{ i }}", "{% endfor %}"],
      ["{% for i in list offset: continue %}{{ i }}", "{% endfor %}"],
      ["{% case a %}{% when 'x' %}", "{% endcase %}"],
      ["{% capture a %}", "{% endcapture %}"],
      ["{% assign b = a %}", ""],
      ["{%- if b -%}", "{%- break -%}{%- endif -%}"],
    ),
    fc.array(fc.oneof(output, constant), { maxLength: 3 }),
  )
  .map(([[open, close], inner]) => open + inner.join("") + close);
const template = fc
  .array(
    fc.oneof({ weight: 4, arbitrary: output }, { weight: 4, arbitrary: constant }, { weight: 1, arbitrary: block }),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(""));
const cell = fc.oneof(
  fc.constantFrom<unknown>("", "x", "<i>'\"&", false, true, null, 0, 1.5, [], ["p", ["q"], null], {
    name: "n",
    size: 3,
  }),
  fc.string({ maxLength: 10 }),
);
const data = fc.record(
  { a: cell, b: cell, user: cell, size: cell, first: cell, list: fc.array(cell, { maxLength: 3 }) },
  { requiredKeys: [] },
);

const put = (pieces: readonly Piece[], given: Record<string, unknown>): string =>
  pieces.map((piece) => (typeof piece === "string" ? piece : piece(given))).join("");

const oracle = (kind: PartKind, text: string, given: Record<string, unknown>): string => {
  const engine = liquidFor(kind);
  return String(engine.renderSync(engine.parse(text.replace(/\r\n?/g, "\n")), given));
};

const outcome = (render: () => string): string => {
  try {
    return `rendered ${render()}`;
  } catch {
    return "refused";
  }
};

test("the pieces together are what liquidjs renders, byte for byte", () => {
  fc.assert(
    fc.property(template, data, (text, given) => {
      assert.equal(
        outcome(() => put(compileTemplate({ subject: "", text }).text!, given)),
        outcome(() => oracle("text", text, given)),
      );
      assert.equal(
        outcome(() => put(compileTemplate({ subject: "", html: text }).html!, given)),
        outcome(() => oracle("html", text, given)),
      );
    }),
    { numRuns: 5000 },
  );
});

test("any text parses or fails with a place", () => {
  const shards = fc.array(
    fc.constantFrom(
      "{{",
      "}}",
      "{%",
      "%}",
      "-",
      "|",
      " a ",
      "if",
      "endif",
      "for",
      "in",
      "raw",
      "liquid",
      "default:",
      '"',
      "'",
      ".",
      "[",
      "]",
      "(1..9)",
      "\n",
      "é",
      ":",
    ),
    { maxLength: 25 },
  );
  fc.assert(
    fc.property(shards, (parts) => {
      const parsed = parseTemplate({ subject: "s", text: parts.join("") });
      if (parsed.kind === "parsed") {
        for (const variable of templateVariables(parsed.template))
          assert.ok(variable.line >= 1 && variable.column >= 1);
        return;
      }
      assert.ok(
        parsed.problems.every(
          ({ file, line, column, message }) => file === "body.txt" && line >= 1 && column >= 1 && message !== "",
        ),
      );
    }),
    { numRuns: 5000 },
  );
});
