// Poison by chance: templates of tags and filters that fit together anyhow, over data of the kinds that hurt. The same for
// the same seed.

import fc from "fast-check";
import type { Poison } from "./poisons.ts";

const NAMES = ["a", "b", "c.d", "list", "text", "deep"] as const;
const FILTERS = [
  "append",
  "prepend",
  "replace",
  "split",
  "join",
  "map",
  "sort",
  "where",
  "sum",
  "slice",
  "truncate",
  "times",
  "date",
  "divided_by",
  "modulo",
  "json",
  "size",
  "uniq",
  "concat",
  "escape",
  "strip_html",
  "format_number",
  "format_date",
  "plural",
  "format_list",
  "default",
  "group_by",
  "reverse",
  "first",
  "round",
  "url_encode",
  "newline_to_br",
] as const;

const name = fc.constantFrom(...NAMES);
const literal = fc.oneof(
  fc.integer().map(String),
  fc.double().map((value) => `${value}`),
  fc.constantFrom("'a'", "''", "'a.b'", "nil", "empty", "(1..9999999)", "-1", "1000000000"),
);
const value = fc.oneof(name, literal);
const filter = fc
  .tuple(fc.constantFrom(...FILTERS), fc.array(value, { maxLength: 3 }))
  .map(([called, args]) => `| ${called}${args.length === 0 ? "" : `: ${args.join(", ")}`}`);
const filtered = fc.tuple(value, fc.array(filter, { maxLength: 4 })).map(([first, then]) => [first, ...then].join(" "));

const { node } = fc.letrec<{ node: string; body: string }>((tie) => ({
  node: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    filtered.map((shown) => `{{ ${shown} }}`),
    fc.string({ maxLength: 20 }).map((text) => text.replaceAll("{", "(")),
    fc.tuple(fc.constantFrom("a", "b", "made"), filtered).map(([to, from]) => `{% assign ${to} = ${from} %}`),
    fc.tuple(value, tie("body")).map(([over, body]) => `{% for item in ${over} %}{{ item }}${body}{% endfor %}`),
    fc
      .tuple(value, value, tie("body"))
      .map(([one, other, body]) => `{% if ${one} contains ${other} %}${body}{% else %}${body}{% endif %}`),
    fc
      .tuple(fc.constantFrom("a", "b", "made"), tie("body"))
      .map(([to, body]) => `{% capture ${to} %}${body}{% endcapture %}`),
    fc.constantFrom("{% break %}", "{% raw %}{{{% endraw %}", "{% comment %}{% for %}{% endcomment %}", "}}"),
  ),
  body: fc.array(tie("node"), { maxLength: 4 }).map((nodes) => nodes.join("")),
}));

const hostile = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown>(
    "x".repeat(200_000),
    "<".repeat(100_000),
    "9".repeat(50_000),
    Array.from({ length: 20_000 }, (_, index) => index),
    Array.from({ length: 3_000 }, (_, index) => ({ a: `x${index}`, d: null })),
    1e308,
    -0.1,
    null,
  ),
);
const poison = fc.record({
  text: fc.array(node, { minLength: 1, maxLength: 6 }).map((nodes) => nodes.join("")),
  variables: fc.record({
    a: hostile,
    b: hostile,
    c: fc.record({ d: hostile }),
    list: hostile,
    text: hostile,
    deep: hostile,
  }),
});

export function poisonsByChance(count: number, seed: number): readonly Poison[] {
  if (count === 0) return [];
  return fc.sample(poison, { numRuns: count, seed }).map(({ text, variables }, index) => ({
    name: `by chance ${index}: ${text.slice(0, 200)}`,
    given: { kind: "template", template: { subject: "Poison", text }, variables },
  }));
}
