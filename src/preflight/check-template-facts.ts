// What can be said of a campaign's template without a recipient: its variables against the list's columns, its parts, its
// links that are the same for everybody, and its header fields. Pure.

import type { CampaignMail } from "../compose/campaign-mail.ts";
import { checkTemplate } from "../templates/check-template.ts";
import { printProblem, type TemplateSource } from "../templates/compiled-template.ts";
import { parseTemplate } from "../templates/parse-template.ts";
import { requiredVariables, UNSUBSCRIBE_URL } from "../templates/template-variables.ts";
import type { FindingCollector } from "./collect-findings.ts";
import { linkProblem, linksIn, linksInText, type FoundLink } from "./find-links.ts";

export interface TemplateFacts {
  /** Columns in which an empty cell leaves a hole. */
  readonly required: readonly string[];
  /** Some link is filled in for each recipient. */
  readonly hasOwnLinks: boolean;
}

export function checkTemplateFacts(
  source: TemplateSource,
  { ownListHeaders: own }: CampaignMail,
  given: { readonly columns: readonly string[]; readonly hasUnsubscribeUrl: boolean },
  findings: FindingCollector,
): TemplateFacts {
  const required = checkVariables(source, given, findings);
  for (const link of fixedLinks(source)) {
    const problem = linkProblem(link, contentIdsOf(source));
    if (problem !== undefined) findings.add(problem.code, problem.detail);
  }
  if ((source.text ?? "").trim() === "") findings.add("text_missing", "body.txt");
  if (!hasAddress(source)) findings.add("postal_address_unseen", "there is no <address> in body.html");
  if (own.hasUnsubscribe && !hasHeader(source, "list-unsubscribe-post"))
    findings.add("one_click_missing", "List-Unsubscribe of the template");
  return { required, hasOwnLinks: hasOwnLinks(source) };
}

function checkVariables(
  source: TemplateSource,
  { columns, hasUnsubscribeUrl }: { readonly columns: readonly string[]; readonly hasUnsubscribeUrl: boolean },
  findings: FindingCollector,
): readonly string[] {
  const parsed = parseTemplate(source);
  // It was compiled, so it parses.
  if (parsed.kind === "bad") return [];
  const known = hasUnsubscribeUrl ? [...columns, UNSUBSCRIBE_URL] : columns;
  for (const problem of checkTemplate(parsed.template, known)) findings.add("column_missing", printProblem(problem));
  return requiredVariables(parsed.template).filter((name) => columns.includes(name));
}

export function contentIdsOf({ attachments = [] }: TemplateSource): ReadonlySet<string> {
  return new Set(attachments.flatMap(({ content_id }) => content_id ?? []));
}

const LIQUID = /\{\{|\{%/;
/** What every recipient has another of, and leads where it should. */
const OWN_UNSUBSCRIBE = /\{\{-?\s*unsubscribe_url\s*-?\}\}/g;

/** Those without Liquid: all of them, whatever condition they stand under. */
function fixedLinks(source: TemplateSource): readonly FoundLink[] {
  const links = [...textsOf(source, "html").flatMap(linksIn), ...textsOf(source, "txt").flatMap(linksInText)];
  return links.filter(({ target }) => target === undefined || !LIQUID.test(target));
}

function hasOwnLinks(source: TemplateSource): boolean {
  const inHtml = textsOf(source, "html").flatMap(linksIn);
  const inText = textsOf(source, "txt").flatMap(linksInText);
  const isOwn = ({ target = "" }: FoundLink) => LIQUID.test(target.replaceAll(OWN_UNSUBSCRIBE, ""));
  // A link may come out of the data whole.
  return inHtml.some(isOwn) || inText.some(isOwn) || textsOf(source, "html").some((html) => /\|\s*raw\b/.test(html));
}

function textsOf({ html, text, partials = {} }: TemplateSource, kind: "html" | "txt"): readonly string[] {
  const own = kind === "html" ? html : text;
  const others = Object.entries(partials).filter(([file]) => file.endsWith(`.${kind}`) || file.endsWith(".liquid"));
  return [...(own === undefined ? [] : [own]), ...others.map(([, each]) => each)];
}

function hasAddress(source: TemplateSource): boolean {
  return textsOf(source, "html").some((html) => /<address\b[^>]{0,1000}>\s*\S/i.test(html));
}

function hasHeader({ headers = {} }: TemplateSource, name: string): boolean {
  return Object.keys(headers).some((known) => known.toLowerCase() === name);
}
