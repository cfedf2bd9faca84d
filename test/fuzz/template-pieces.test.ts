// A compiled template's pieces, put together, are what liquidjs renders, byte for byte, over generated templates (nested
// conditions and loops, paths, filters, assignments) and data of every JSON kind, and refused where liquidjs refuses; in
// quoted-printable they decode to the same. Most nodes are compiled, or the tests would prove little. And no text, however broken, makes the parser do anything but parse it or say where it fails.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LiquidError } from "liquidjs";
import { mergePart, preparePart } from "../../src/compose/merge-part.ts";
import { type Piece, TemplateRefused } from "../../src/templates/compiled-template.ts";
import { compileTemplate } from "../../src/templates/compile-template.ts";
import { fillPieces } from "../../src/templates/fill-pieces.ts";
import { liquidFor, type PartKind } from "../../src/templates/liquid-engine.ts";
import { parseTemplate } from "../../src/templates/parse-template.ts";
import { templateVariables } from "../../src/templates/template-variables.ts";

// --- values: paths, with names that a prototype has or that Liquid gives a meaning of its own
const root = fc.constantFrom("a", "b", "i", "j", "list", "user", "size", "first", "constructor", "__proto__", "none");
const step = fc.constantFrom(
  ".name",
  ".tags",
  ".price",
  ".size",
  ".first",
  ".last",
  ".length",
  ".toString",
  ".__proto__",
  '["name"]',
  "[0]",
  "[-1]",
  "[1]",
  "[b]",
  "[user.name]",
);
const path = fc.oneof(
  { weight: 3, arbitrary: root },
  {
    weight: 4,
    arbitrary: fc.tuple(root, fc.array(step, { maxLength: 3 })).map(([name, steps]) => name + steps.join("")),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(
        "index",
        "index0",
        "first",
        "last",
        "rindex",
        "rindex0",
        "length",
        "name",
        "i",
        "parentloop",
        "size",
      )
      .map((name) => `forloop.${name}`),
  },
  { weight: 1, arbitrary: fc.constantFrom("forloop", '["a"]', '"abc".size', "(1..3).size", "[a]", "(1..b)") },
);
const literal = fc.constantFrom("'x'", '"<b>&"', "''", "0", "2", "-1", "1.5", "true", "false", "nil", "empty", "blank");
const operand = fc.oneof({ weight: 3, arbitrary: path }, { weight: 2, arbitrary: literal });
const filter = fc.oneof(
  fc.constantFrom(
    "escape",
    "raw",
    "upcase",
    "downcase",
    "capitalize",
    "strip",
    "size",
    "first",
    "last",
    "newline_to_br",
    "strip_html",
    "reverse",
    "uniq",
    "compact",
    "sort",
    "round",
    "abs",
    "join",
    "escape_once",
    "url_encode",
    "json",
    "truncate: 3",
    "truncate: 4, '…'",
    "truncatewords: 1",
    "replace: 'x', '<y>'",
    "remove: 'n'",
    "split: ''",
    "map: 'name'",
    "where: 'name', 'n'",
    "slice: 0, 2",
    "date: '%Y-%m-%d'",
    "default: 'z', allow_false: true",
    "default",
    "append",
  ),
  fc
    .tuple(
      fc.constantFrom(
        "default",
        "append",
        "prepend",
        "join",
        "plus",
        "minus",
        "times",
        "divided_by",
        "modulo",
        "concat",
      ),
      operand,
    )
    .map(([name, arg]) => `${name}: ${arg}`),
);
const filtered = fc
  .tuple(operand, fc.array(filter, { maxLength: 2 }))
  .map(([value, filters]) => [value, ...filters].join(" | "));

const comparison = fc
  .tuple(operand, fc.constantFrom("==", "!=", "<", ">", "<=", ">=", "contains"), operand)
  .map((words) => words.join(" "));
const condition = fc.oneof(
  { weight: 2, arbitrary: filtered },
  { weight: 4, arbitrary: comparison },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.oneof(comparison, operand), fc.constantFrom("and", "or"), fc.oneof(comparison, operand))
      .map((words) => words.join(" ")),
  },
  { weight: 1, arbitrary: fc.constantFrom("not a", "not a == b", "a b", "a ==", "b | size > 0", "(1..3) contains b") },
);

// --- nodes
const dash = fc.constantFrom("", "", "", "-");
const output = fc.tuple(dash, filtered, dash).map(([left, value, right]) => `{{${left} ${value} ${right}}}`);
const constant = fc.oneof(
  fc.constantFrom(
    "plain <b>&amp;</b> ",
    " \n ",
    "\r\n",
    "{% raw %}{{ no }}{% endraw %}",
    "{% comment %}x{% endcomment %}",
    "{% # nothing %}",
    "{",
    "}}",
    "%}",
    "é漢🎉=",
    "x".repeat(70),
  ),
  fc.string({ unit: "binary", maxLength: 12 }).filter((text) => !/[{]/.test(text)),
);
const collection = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom("list", "user.tags", "i.tags", "user", "i") },
  { weight: 1, arbitrary: operand },
  {
    weight: 1,
    arbitrary: fc.constantFrom("(1..3)", "(b..2)", "(-1..list.size)", "('1'..2.5)", "(3..1)", "(1..99999999)"),
  },
);
const modifiers = fc
  .array(fc.constantFrom("limit: 1", "limit: b", "limit:2", "offset: 1", "offset: -1", "offset: a", "reversed"), {
    maxLength: 2,
  })
  .map((words) => words.join(" "));
const stop = fc.constantFrom(
  "{% break %}",
  "{% continue %}",
  "{% if forloop.last %}{% break %}{% endif %}",
  "{%- if i == b -%}{%- continue -%}{%- endif -%}",
);
const rare = fc.constantFrom(
  "{% capture a %}{{ b }}<{% endcapture %}",
  "{% for i in list offset: continue limit: 1 %}{{ i }}{% endfor %}",
  "{% tablerow i in list cols: 2 %}{{ i.name }}{% endtablerow %}",
  "{% liquid assign b = a\n if b\n break\n endif %}",
  "{% for forloop in list %}{{ forloop }}{% endfor %}",
  "{% for i in list %}{% for i in (1..2) %}{{ i }}{{ forloop.length }}{% endfor %}{{ i }}{% endfor %}",
  "{% for i in list %}{% case b %}{% when b %}{% break %}{% when b %}one{{ a }}{% endcase %}{{ i }}{% endfor %}",
);
const { nodes } = fc.letrec<{ node: string; nodes: string }>((tie) => ({
  nodes: fc.array(tie("node"), { maxLength: 5, depthIdentifier: "nodes" }).map((parts) => parts.join("")),
  node: fc.oneof(
    { depthSize: "small", withCrossShrink: true, depthIdentifier: "nodes" },
    { weight: 6, arbitrary: output },
    { weight: 5, arbitrary: constant },
    { weight: 1, arbitrary: stop },
    { weight: 1, arbitrary: rare },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom("a", "b", "i", "list"), filtered)
        .map(([name, value]) => `{% assign ${name} = ${value} %}`),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.constantFrom("i", "j", "a", "size"), collection, modifiers, tie("nodes"), fc.option(tie("nodes")))
        .map(
          ([name, from, words, body, otherwise]) =>
            `{% for ${name} in ${from} ${words} %}${body}${otherwise === null ? "" : `{% else %}${otherwise}`}{% endfor %}`,
        ),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(
          fc.constantFrom("if", "unless"),
          condition,
          tie("nodes"),
          condition,
          tie("nodes"),
          tie("nodes"),
          fc.nat(2),
        )
        .map(([tag, first, body, second, other, otherwise, branches]) => {
          const elsif = branches > 0 ? `{% elsif ${second} %}${other}` : "";
          const last = branches > 1 ? `{% else %}${otherwise}` : "";
          return `{% ${tag} ${first} %}${body}${elsif}${last}{% end${tag} %}`;
        }),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(filtered, operand, operand, tie("nodes"), operand, tie("nodes"), tie("nodes"))
        .map(
          ([value, one, two, body, three, other, otherwise]) =>
            `{% case ${value} %}{% when ${one}, ${two} %}${body}{% when ${three} %}${other}{% else %}${otherwise}{% endcase %}`,
        ),
    },
  ),
}));

// --- data: every kind of JSON, of the shapes that the paths above go through
const text = fc.oneof(
  fc.constantFrom(
    "",
    "x",
    "n",
    "<i>'\"&",
    " ",
    "line\nbreak",
    "end\r",
    "\nfirst",
    "\ud83c",
    "é".repeat(40),
    "y".repeat(90),
  ),
  fc.string({ unit: "binary", maxLength: 10 }),
);
const scalar = fc.oneof(text, fc.constantFrom<unknown>(false, true, null, 0, 1, 2, -1, 1.5, 1e21, 5e-7));
const item = fc.oneof(
  scalar,
  fc.record(
    { name: scalar, price: scalar, tags: fc.array(scalar, { maxLength: 3 }), size: scalar, first: scalar },
    { requiredKeys: [] },
  ),
  fc.array(scalar, { maxLength: 3 }),
  fc.constantFrom<unknown>(
    ["p", ["q"], null],
    { toString: "x" },
    JSON.parse('{"__proto__":{"name":"own"},"constructor":1}'),
  ),
);
const data = fc.record(
  {
    a: item,
    b: scalar,
    user: item,
    size: scalar,
    first: scalar,
    list: fc.oneof({ weight: 4, arbitrary: fc.array(item, { maxLength: 4 }) }, item),
  },
  { requiredKeys: [] },
);

const put = (pieces: readonly Piece[], given: Record<string, unknown>): string => fillPieces("part", pieces, given);

const oracle = (kind: PartKind, source: string, given: Record<string, unknown>): string => {
  const engine = liquidFor(kind);
  return String(engine.renderSync(engine.parse(source.replace(/\r\n?/g, "\n")), given));
};

/** A machine that stands still for a second is no property of a template: then once more. */
const outcome = (render: () => string, isLast = false): string => {
  try {
    return `rendered ${render()}`;
  } catch (error) {
    if (!isLast && /render limit exceeded/.test(String(error))) return outcome(render, true);
    return error instanceof TemplateRefused || LiquidError.is(error) ? "refused" : `not refused: ${String(error)}`;
  }
};

/** Counts the nodes that Liquid itself renders meanwhile, nested ones too. */
function nodesOfLiquid(kind: PartKind, work: () => void): number {
  const { renderer } = liquidFor(kind);
  const own = renderer.renderTemplates.bind(renderer);
  let count = 0;
  renderer.renderTemplates = (nodes, ...rest) => {
    count += nodes.length;
    return own(nodes, ...rest);
  };
  work();
  renderer.renderTemplates = own;
  return count;
}

test("the pieces together are what liquidjs renders, byte for byte, and mostly without it", () => {
  let nodesInAll = 0;
  let nodesLeft = 0;
  let rendered = 0;
  let runs = 0;
  fc.assert(
    fc.property(nodes, data, fc.constantFrom<PartKind>("text", "html"), (source, given, kind) => {
      let wanted = "";
      let got = "";
      const before = JSON.stringify(given);
      nodesInAll += nodesOfLiquid(kind, () => (wanted = outcome(() => oracle(kind, source, given))));
      const pieces = compiled(kind, source);
      nodesLeft += nodesOfLiquid(kind, () => {
        got = typeof pieces === "string" ? pieces : outcome(() => put(pieces, given));
      });
      assert.equal(got, wanted);
      assert.equal(JSON.stringify(given), before, "the data is left as it was");
      runs++;
      if (got.startsWith("rendered")) rendered++;
    }),
    { numRuns: 4000 },
  );
  assert.ok(rendered > runs / 2, `only ${rendered} of ${runs} templates could be rendered`);
  assert.ok(nodesLeft < nodesInAll / 4, `${nodesLeft} of ${nodesInAll} nodes were left to Liquid`);
});

function compiled(kind: PartKind, source: string): readonly Piece[] | string {
  try {
    return compileTemplate({ subject: "", [kind]: source })[kind]!;
  } catch (error) {
    assert.ok(error instanceof TemplateRefused, String(error));
    return "refused";
  }
}

test("quoted-printable of the pieces decodes to what liquidjs renders, in lines that survive the road", () => {
  fc.assert(
    fc.property(nodes, data, fc.constantFrom<PartKind>("text", "html"), (source, given, kind) => {
      const pieces = compiled(kind, source);
      const wanted = outcome(() => toLines(oracle(kind, toLines(source), given)));
      if (typeof pieces === "string" || !wanted.startsWith("rendered ")) return;
      const encoded = mergePart(preparePart(kind, pieces), given);
      assert.ok(
        encoded.split("\r\n").every((line) => line.length <= 76 && !/[ \t]$/.test(line)),
        "short lines that end in no blank",
      );
      // oxlint-disable-next-line no-control-regex
      assert.match(encoded, /^(?:[\t -~]|\r\n)*$/);
      assert.equal(`rendered ${decode(encoded)}`, wanted);
    }),
    { numRuns: 2000 },
  );
});

/** As a mail's reader sees it: characters that are none are U+FFFD, and every line break is one. */
function toLines(given: string): string {
  return Buffer.from(given, "utf8").toString("utf8").replace(/\r\n?/g, "\n");
}

function decode(encoded: string): string {
  const octets = encoded
    .replaceAll("=\r\n", "")
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(octets, "latin1").toString("utf8").replaceAll("\r\n", "\n");
}

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
