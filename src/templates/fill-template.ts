// A whole template filled in with one set of variables, strictly: a variable that is not there is an error with line and
// column, unless the template says that it may be missing. For single emails, for checks with sample variables, and to look
// at; a campaign's messages take the compiled road (`compile-template.ts`), whose columns were checked before.

import type { Liquid } from "liquidjs";
import { type MergeData, TemplateRefused, type TemplateProblem, type TemplateSource } from "./compiled-template.ts";
import { withPreheader } from "./insert-preheader.ts";
import { liquidFor, renderNodes } from "./liquid-engine.ts";
import { liquidProblem, type ParsedPart, parseTemplate, type ParsedTemplate, withLineFeeds } from "./parse-template.ts";

export interface OpenedTemplate {
  readonly source: TemplateSource;
  readonly parts: readonly OpenedPart[];
}

export interface FilledTemplate {
  readonly from?: string;
  readonly reply_to?: string;
  readonly subject: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly html?: string;
  readonly text?: string;
}

/** Parsed once, filled in often. Throws `TemplateRefused` when it does not parse. */
export function openTemplate(source: TemplateSource): OpenedTemplate {
  const parsed = parseTemplate(source);
  if (parsed.kind === "bad") throw new TemplateRefused(parsed.problems);
  return openParsed(parsed.template);
}

/** Throws `TemplateRefused`: the first thing that is wrong. */
export function fillTemplate({ source, parts }: OpenedTemplate, variables: MergeData): FilledTemplate {
  const { from, reply_to } = source;
  const filled = new Map(parts.map((part) => [part.name, fillPart(part, variables)]));
  const [html, text] = [filled.get("html"), filled.get("text")];
  const headers = Object.keys(source.headers ?? {}).map((name) => [name, filled.get(`header ${name}`) ?? ""]);
  return {
    ...(from === undefined ? {} : { from }),
    ...(reply_to === undefined ? {} : { reply_to }),
    subject: filled.get("subject") ?? "",
    ...(headers.length === 0 ? {} : { headers: Object.fromEntries(headers) as Readonly<Record<string, string>> }),
    ...(html === undefined ? {} : { html }),
    ...(text === undefined ? {} : { text }),
  };
}

/** What is wrong in each part with these variables; of each part the first thing, in its own place. */
export function tryTemplate(template: ParsedTemplate, variables: MergeData): readonly TemplateProblem[] {
  return template.parts.flatMap((part) => {
    try {
      renderNodes(template.engines[part.kind], part.nodes, variables, true);
      return [];
    } catch (error) {
      return [liquidProblem(error, part.file, part.place)];
    }
  });
}

type OpenedPart = Omit<ParsedPart, "partials"> & { readonly engine: Liquid };

function openParsed({ source, parts, engines }: ParsedTemplate): OpenedTemplate {
  const filled = withPreheader(source);
  const opened = parts
    .filter(({ name }) => name !== "preheader")
    .map((part) => ({ ...part, engine: engines[part.kind] }));
  if (source.preheader === undefined || filled.html === undefined) return { source, parts: opened };
  // The HTML has other lines now, or its layout: parsed again as what it is sent as.
  const engine = liquidFor("html", filled);
  const nodes = engine.parse(withLineFeeds(filled.html), "body.html");
  return { source, parts: opened.map((part) => (part.name === "html" ? { ...part, engine, nodes } : part)) };
}

function fillPart({ engine, nodes, file, place }: OpenedPart, variables: MergeData): string {
  try {
    return renderNodes(engine, nodes, variables, true);
  } catch (error) {
    throw new TemplateRefused([liquidProblem(error, file, place)]);
  }
}
