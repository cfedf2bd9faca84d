// A template as pieces: what templates mostly use is compiled from Liquid's parse tree to functions, some hundred times
// faster than a rendering; the rest is left to Liquid, node by node. Either way the text is what Liquid makes of the
// part, to the byte: a property test compares.

import { compileNodes } from "./compile-nodes.ts";
import { type CompiledTemplate, type Piece, TemplateRefused, type TemplateSource } from "./compiled-template.ts";
import { insertPreheader } from "./insert-preheader.ts";
import { liquidFor, type PartKind } from "./liquid-engine.ts";
import { parseTemplate, withLineFeeds } from "./parse-template.ts";

/** Throws `TemplateRefused` when the template does not parse. */
export function compileTemplate(source: TemplateSource): CompiledTemplate {
  const parsed = parseTemplate(source);
  if (parsed.kind === "bad") throw new TemplateRefused(parsed.problems);
  const { from, reply_to, subject, preheader, html, text } = source;
  return {
    ...(from === undefined ? {} : { from }),
    ...(reply_to === undefined ? {} : { replyTo: reply_to }),
    subject: compilePart("template.yaml", "text", subject),
    ...(text === undefined ? {} : { text: compilePart("body.txt", "text", text) }),
    ...(html === undefined ? {} : { html: compilePart("body.html", "html", withPreheader(html, preheader)) }),
  };
}

function withPreheader(html: string, preheader: string | undefined): string {
  return preheader === undefined ? html : insertPreheader(html, preheader);
}

function compilePart(file: string, kind: PartKind, text: string): readonly Piece[] {
  const engine = liquidFor(kind);
  const part = { file, engine, isEscaped: kind === "html", loops: [] };
  return compileNodes(part, engine.parse(withLineFeeds(text), file));
}
