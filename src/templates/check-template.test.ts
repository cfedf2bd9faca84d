import assert from "node:assert/strict";
import { test } from "node:test";
import { checkTemplate } from "./check-template.ts";
import type { TemplateSource } from "./compiled-template.ts";
import { type ParsedTemplate, parseTemplate } from "./parse-template.ts";
import { requiredVariables, templateVariables } from "./template-variables.ts";

function parsed(source: Partial<TemplateSource>): ParsedTemplate {
  const result = parseTemplate({ subject: "s", ...source });
  assert.equal(result.kind, "parsed");
  return result.template;
}

test("a variable without a column is named with its line and the column that was meant", () => {
  const template = parsed({
    subject: "News for {{ first_name }}",
    html: "<p>\nDear {{ frist_name }},\n{{ frist_name }} {{ city }}</p>",
    text: "\n\n  {{ xyz }}",
  });
  assert.deepEqual(checkTemplate(template, ["email", "first_name", "City"]), [
    {
      file: "body.html",
      line: 2,
      column: 9,
      variable: "frist_name",
      message: 'the list has no column "frist_name"; did you mean "first_name"?',
    },
    {
      file: "body.html",
      line: 3,
      column: 21,
      variable: "city",
      message: 'the list has no column "city"; did you mean "City"?',
    },
    { file: "body.txt", line: 3, column: 6, variable: "xyz", message: 'the list has no column "xyz"' },
  ]);
  assert.deepEqual(checkTemplate(template, ["first_name", "frist_name", "city", "xyz"]), []);
});

test("what a template assigns, captures or loops over by a name of its own is no column", () => {
  const template = parsed({
    text: `{% assign full = first | append: last_name %}{% capture c %}{{ full }}{% endcapture %}{{ c }}
{% for item in items limit: most %}{{ item.title }}{{ forloop.index }}{{ other[key] }}{% endfor %}{{ item }}`,
  });
  assert.deepEqual(
    templateVariables(template).map((variable) => variable.name),
    ["first", "last_name", "items", "most", "other", "key", "item"],
  );
});

test("a column is required where an empty cell would leave a hole", () => {
  const template = parsed({
    subject: '{{ a | default: "x" }}',
    html: '{{ b }}{% if c == "x" %}{{ c }}{% endif %}{% if d %}{{ d }}{% endif %}{% if e %}!{% endif %}',
    text: '{{ a }}{{ f | default: g }}{% for h in (1..i) %}{{ h }}{% endfor %}{{ j | upcase | default: "x" }}',
  });
  assert.deepEqual(requiredVariables(template), ["b", "d", "a", "g"]);
  const used = templateVariables(template).find((variable) => variable.name === "f");
  const place = { file: "body.txt", line: 1, column: 11 };
  assert.deepEqual(used, { name: "f", path: "f", ...place, hasDefault: true, needsValue: false, isCertain: true });
});

test("a syntax error has its place; so do several in one template", () => {
  const result = parseTemplate({ subject: "{{ a", html: "<p>\n{% if a %}", text: "\n {% nonsense %}" });
  assert.equal(result.kind, "bad");
  const problems = result.kind === "bad" ? result.problems : [];
  assert.deepEqual(
    problems.map(({ file, line, column }) => `${file}:${line}:${column}`),
    ["template.yaml:1:1", "body.html:2:1", "body.txt:2:2"],
  );
  assert.match(problems[1]!.message, /not closed$/);
  assert.match(problems[2]!.message, /^tag "nonsense" not found$/);
});
