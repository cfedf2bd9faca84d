// `{{ … }}` as a function of the scope, which answers what is to be printed. In HTML it is escaped, by hand, since that
// is what most outputs need and nothing else; everything before the escaping is the value's affair.

import type { Output } from "liquidjs";
import type { Piece } from "./compiled-template.ts";
import { compileValue } from "./compile-value.ts";
import { printValue } from "./liquid-engine.ts";
import { placed, type TemplatePart } from "./template-part.ts";

export function compileOutput(part: TemplatePart, node: Output): Piece {
  const { filters } = node.value;
  // What ends in `raw`, or was escaped already, is not escaped again; else Liquid's escaping is the last filter.
  const isEscaped = part.isEscaped && filters.at(-1)?.raw !== true;
  const read = compileValue(part, node.value, isEscaped ? filters.slice(0, -1) : filters);
  const print = isEscaped ? escapeHtml : printValue;
  return placed(part, node, (scope) => print(read(scope)));
}

function escapeHtml(value: unknown): string {
  const text = printValue(value);
  return SPECIAL.test(text) ? escapeText(text) : text;
}

const SPECIAL = /[&<>"']/;

/** By hand, since a function for every match takes three times as long. */
function escapeText(text: string): string {
  let out = "";
  let start = 0;
  for (let index = 0; index < text.length; index++) {
    const entity = entityOf(text.charCodeAt(index));
    if (entity === undefined) continue;
    out += text.slice(start, index) + entity;
    start = index + 1;
  }
  return out + text.slice(start);
}

function entityOf(code: number): string | undefined {
  switch (code) {
    case 0x26:
      return "&amp;";
    case 0x3c:
      return "&lt;";
    case 0x3e:
      return "&gt;";
    case 0x22:
      return "&#34;";
    case 0x27:
      return "&#39;";
    default:
      return undefined;
  }
}
