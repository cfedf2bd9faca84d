// A template as pieces: what templates mostly use is compiled from Liquid's parse tree to functions, some hundred times
// faster than a rendering; the rest is left to Liquid, node by node. Either way the text is what Liquid makes of the
// part, to the byte: a property test compares.

import { compileNodes } from "./compile-nodes.ts";
import { type CompiledTemplate, type Piece, TemplateRefused, type TemplateSource } from "./compiled-template.ts";
import { withPreheader } from "./insert-preheader.ts";
import { liquidFor } from "./liquid-engine.ts";
import { parseTemplate, withLineFeeds } from "./parse-template.ts";
import type { TemplatePart } from "./template-part.ts";

/** Throws `TemplateRefused` when the template does not parse. */
export function compileTemplate(source: TemplateSource): CompiledTemplate {
  const parsed = parseTemplate(source);
  if (parsed.kind === "bad") throw new TemplateRefused(parsed.problems);
  const { from, reply_to, subject, headers = {}, text } = source;
  const filled = withPreheader(source);
  const { engines } = parsed.template;
  const asText = (file: string, value: string) =>
    compilePart({ file, engine: engines.text, isEscaped: false, loops: [] }, value);
  const html = { file: "body.html", engine: liquidFor("html", filled), isEscaped: true, loops: [] };
  const named = Object.entries(headers).map(([name, value]) => ({ name, pieces: asText("template.yaml", value) }));
  return {
    ...(from === undefined ? {} : { from }),
    ...(reply_to === undefined ? {} : { replyTo: reply_to }),
    subject: asText("template.yaml", subject),
    ...(text === undefined ? {} : { text: asText("body.txt", text) }),
    ...(filled.html === undefined ? {} : { html: compilePart(html, filled.html) }),
    ...(named.length === 0 ? {} : { headers: named }),
  };
}

function compilePart(part: TemplatePart, text: string): readonly Piece[] {
  return compileNodes(part, part.engine.parse(withLineFeeds(text), part.file));
}
