// The text part of a template that has none, made from its HTML when it is saved, so that it can be read, and replaced.
// Liquid stays where it is: each tag and output is a single odd character run while the HTML around it is converted. Tags
// that stand alone on a line take their line break with them, so that a condition leaves no empty lines.

import { compile } from "html-to-text";

export type TextMade =
  | { readonly kind: "made"; readonly text: string }
  | { readonly kind: "bad"; readonly why: string };

/** Characters of HTML; mail programs cut long before. */
export const TEXT_FROM_HTML_CHARS_MAX = 500_000;
/** Elements; deep within lists, 100,000 took 5 s. */
export const HTML_ELEMENTS_MAX = 20_000;
/** Elements within one another. The conversion's time grows with its square. */
export const HTML_DEPTH_MAX = 500;

export function textFromHtml(html: string): TextMade {
  if (html.length > TEXT_FROM_HTML_CHARS_MAX)
    return { kind: "bad", why: `it has more than ${TEXT_FROM_HTML_CHARS_MAX} characters` };
  const marker = freeMarker(html);
  if (marker === undefined) return { kind: "bad", why: "it uses all private characters of Unicode" };
  const { marked, liquid } = takeLiquidOut(html, marker);
  if ((marked.match(/<[a-z]/gi)?.length ?? 0) > HTML_ELEMENTS_MAX)
    return { kind: "bad", why: `it has more than ${HTML_ELEMENTS_MAX} elements` };
  if (isTooDeep(marked)) return { kind: "bad", why: `its elements stand more than ${HTML_DEPTH_MAX} deep` };
  return { kind: "made", text: putLiquidBack(convert(marked), marker, liquid) };
}

const FIRST_MARKER = 0xe000;
const LAST_MARKER = 0xe0ff;

function freeMarker(html: string): string | undefined {
  for (let code = FIRST_MARKER; code <= LAST_MARKER; code++) {
    const marker = String.fromCharCode(code);
    if (!html.includes(marker)) return marker;
  }
  return undefined;
}

/** Whole `raw` and `comment` blocks, tags and outputs; each alternative has one way to match. */
const LIQUID =
  /\{%-?\s*(raw|comment)\s*-?%\}(?:(?!\{%-?\s*end\1\s*-?%\})[^])*\{%-?\s*end\1\s*-?%\}|\{%(?:(?!%\})[^])*%\}|\{\{(?:(?!\}\})[^])*\}\}/g;

function takeLiquidOut(html: string, marker: string): { readonly marked: string; readonly liquid: readonly string[] } {
  const liquid: string[] = [];
  const marked = html.replace(LIQUID, (found: string, block: string | undefined) => {
    if (block === "comment") return "";
    liquid.push(found);
    return `${marker}${liquid.length - 1}${marker}`;
  });
  return { marked, liquid };
}

/** What is not closed in HTML as a rule does not count. */
const NESTING = /<(\/?)(?!(?:area|base|br|col|dd|dt|hr|img|input|li|link|meta|option|p|td|th|tr|wbr)\b)[a-z][^\s/>]*/gi;

function isTooDeep(html: string): boolean {
  let depth = 0;
  for (const [, slash] of html.matchAll(NESTING)) {
    depth += slash === "/" ? -1 : 1;
    if (depth > HTML_DEPTH_MAX) return true;
  }
  return false;
}

const HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"];

const convert = compile({
  // Lines are for the reader's program to wrap, and Liquid's outputs have no width yet.
  wordwrap: false,
  // All of it: tags may stand outside the body.
  baseElements: { selectors: [], returnDomByDefault: true },
  selectors: [
    { selector: "a", options: { hideLinkHrefIfSameAsText: true, noAnchorUrl: true } },
    ...HEADINGS.map((selector) => ({ selector, options: { uppercase: false } })),
    { selector: "img", format: "alternativeText" },
    ...["head", "style", "script"].map((selector) => ({ selector, format: "skip" })),
    // Tables of mails are for layout: a row is a line, and cells do not touch.
    { selector: "tr", format: "block", options: { leadingLineBreaks: 1, trailingLineBreaks: 1 } },
    ...["td", "th"].map((selector) => ({ selector, format: "cell" })),
  ],
  formatters: {
    alternativeText: (element, _walk, builder) => builder.addInline(element.attribs["alt"] ?? ""),
    cell: (element, walk, builder) => {
      walk(element.children, builder);
      builder.addInline(" ");
    },
  },
});

function putLiquidBack(text: string, marker: string, liquid: readonly string[]): string {
  // What the HTML wrote as character references is text, and no Liquid.
  const literal = text.replace(new RegExp(`\\{(?=[{%${marker}])`, "g"), "{{ '{' }}");
  const put = glueTags(literal.split("\n"), marker, liquid).replace(
    new RegExp(`${marker}(\\d+)${marker}`, "g"),
    (_, index: string) => asText(liquid[Number(index)]!),
  );
  return `${put.trim()}\n`;
}

/** Around a line of tags alone as many line breaks stay as its two sides have together at most. */
function glueTags(lines: readonly string[], marker: string, liquid: readonly string[]): string {
  const onlyTags = new RegExp(`^[ \\t]*(?:${marker}\\d+${marker}[ \\t]*)+$`);
  let [out, breaks, given] = ["", 0, Number.POSITIVE_INFINITY];
  for (const line of lines) {
    if (line.trim() !== "") {
      const isTags = onlyTags.test(line) && numbersIn(line, marker).every((n) => liquid[n]!.startsWith("{%"));
      const before = Math.max(0, breaks - given);
      out += "\n".repeat(before) + (isTags ? line.replaceAll(/[ \t]/g, "") : line.trimEnd());
      given = isTags ? Math.max(given, breaks) : 0;
      breaks = 0;
    }
    breaks += 1;
  }
  return out;
}

function numbersIn(line: string, marker: string): readonly number[] {
  return line
    .split(marker)
    .filter((piece) => /^\d+$/.test(piece))
    .map(Number);
}

/** In text nothing is escaped, and nothing that was HTML may show its tags. */
function asText(liquid: string): string {
  if (!liquid.startsWith("{{")) return liquid;
  return liquid
    .replace(/\s*\|\s*(?:escape|escape_once|xml_escape)\s*(-?\}\})$/, " $1")
    .replace(/\s*\|\s*raw\s*(-?\}\})$/, " | strip_html $1");
}
