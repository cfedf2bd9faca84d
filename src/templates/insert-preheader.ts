// The preheader is the line that a mail program shows behind the subject in its list. It travels as a hidden block at
// the top of the HTML: right after the body tag, or in front of everything when there is none. Where the HTML has a layout,
// the body tag is the layout's.

import type { TemplateSource } from "./compiled-template.ts";
import { PARTIAL_DEPTH_MAX, partialFile } from "./partial-files.ts";

/** What the HTML part is made of, with the preheader in it. */
export function withPreheader(source: TemplateSource): TemplateSource {
  const { html, preheader, partials = {} } = source;
  if (html === undefined || preheader === undefined) return source;
  const layout = outermostLayout(html, partials);
  if (layout === undefined) return { ...source, html: insertPreheader(html, preheader) };
  return { ...source, partials: { ...partials, [layout]: insertPreheader(partials[layout]!, preheader) } };
}

const LAYOUT_TAG = /\{%-?\s*layout\s+(?:'([^']*)'|"([^"]*)")/;

function outermostLayout(html: string, partials: Readonly<Record<string, string>>): string | undefined {
  let [file, text]: [string | undefined, string] = [undefined, html];
  for (let depth = 0; depth < PARTIAL_DEPTH_MAX; depth++) {
    const [, single, double] = LAYOUT_TAG.exec(text) ?? [];
    const next = partialFile(partials, single ?? double ?? "", "html");
    if (next === undefined) return file;
    [file, text] = [next, partials[next]!];
  }
  return file;
}

function insertPreheader(html: string, preheader: string): string {
  const hidden = `<div style="display:none;max-height:0;overflow:hidden;mso-hide:all">${preheader}</div>`;
  const body = BODY_TAG.exec(html);
  const at = body ? body.index + body[0].length : 0;
  return html.slice(0, at) + hidden + html.slice(at);
}

/** An attribute may hold a `>` in quotes or in Liquid. Each alternative has one way to match, so a broken tag costs little. */
const BODY_TAG = /<body(?:\s(?:\{\{(?:(?!\}\})[^])*\}\}|\{%(?:(?!%\})[^])*%\}|"[^"]*"|'[^']*'|[^>"'{]|\{(?![{%]))*)?>/i;
