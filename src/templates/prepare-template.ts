// What happens to a template before it is saved: names and sizes are checked, all parts are parsed, and a text part is made
// where there is none. Everything that is wrong is told at once. Pure: the same source is prepared to the same source.

import { headerNameProblem } from "../compose/header-line.ts";
import { parseMailbox } from "../mail/address.ts";
import { attachmentProblems } from "./attachment-problems.ts";
import { PART_CHARS_MAX, SOURCE_CHARS_MAX, type TemplateProblem, type TemplateSource } from "./compiled-template.ts";
import { localeProblem, timeZoneProblem } from "./format-filters.ts";
import { isPartialFile, PARTIALS_MAX } from "./partial-files.ts";
import {
  NO_PLACES,
  parseTemplate,
  type ParsedTemplate,
  type Place,
  START,
  type TemplatePlaces,
} from "./parse-template.ts";
import { requiredPaths } from "./template-variables.ts";
import { textFromHtml } from "./text-from-html.ts";

export type TemplatePrepared =
  | {
      readonly kind: "template";
      /** As it is saved: with a text part. */
      readonly source: TemplateSource;
      /** As it was given: what is wrong with it is told in its own files. */
      readonly template: ParsedTemplate;
      /** What an email must bring. */
      readonly required: readonly string[];
      /** Of its attachments, in their order. */
      readonly octets: readonly Uint8Array[];
    }
  | { readonly kind: "bad"; readonly problems: readonly TemplateProblem[] };

/** Header fields of a template's own; an email may have as many. */
const HEADERS_MAX = 50;
/** Variables that an email may have to bring. */
const REQUIRED_MAX = 200;

/** `octets`: of the attachments that the source names, in their order. */
export function prepareTemplate(
  source: TemplateSource,
  places: TemplatePlaces = NO_PLACES,
  octets: readonly Uint8Array[] = [],
): TemplatePrepared {
  const odd = templateOddities(source, places);
  if (odd.length > 0) return { kind: "bad", problems: odd };
  const parsed = parseTemplate(source, places);
  if (parsed.kind === "bad") return parsed;
  const required = requiredPaths(parsed.template);
  if (required.length > REQUIRED_MAX)
    return bad("template.yaml", `needs ${required.length} variables, at most ${REQUIRED_MAX} are taken`);
  const { html, text } = source;
  const prepared = { kind: "template", template: parsed.template, required, octets } as const;
  if (html === undefined || text !== undefined) return { ...prepared, source };
  const withText = addText(source, html);
  return withText.kind === "bad" ? withText : { ...prepared, source: withText.source };
}

// ---- names and sizes -------------------------------------------------------------------------------------------------

/** What is wrong without looking at the Liquid. */
export function templateOddities(source: TemplateSource, places: TemplatePlaces): readonly TemplateProblem[] {
  const { html, text, preheader, headers = {}, partials = {}, attachments = [] } = source;
  const problems = keyProblems(source).map(([key, message]) => problemIn(places.keys.get(key), message));
  if (html === undefined && text === undefined)
    problems.push({
      file: "body.html",
      ...START,
      message: "there is neither body.html nor body.txt: give one of them, or both",
    });
  if (html === undefined && preheader !== undefined)
    problems.push(problemIn(places.keys.get("preheader"), "a preheader needs a body.html"));
  for (const [name, message] of headersProblems(headers))
    problems.push(problemIn(places.headers.get(name) ?? places.keys.get("headers"), message));
  for (const { place, message } of attachmentProblems(attachments))
    problems.push(problemIn(places.attachments[place ?? -1] ?? places.keys.get("attachments"), message));
  for (const [file, message] of partialsProblems(partials)) problems.push({ file, ...START, message });
  for (const message of textsProblems(source)) problems.push(problemIn(undefined, message));
  return problems;
}

function problemIn(place: Place | undefined, message: string): TemplateProblem {
  return { file: "template.yaml", ...(place ?? START), message };
}

type Named = readonly (readonly [name: string, problem: string])[];

function keyProblems({ from, reply_to, subject, locale, time_zone }: TemplateSource): Named {
  const mailboxes = Object.entries({ from, reply_to }).map(([key, mailbox]): [string, string | undefined] => {
    const problem = mailbox === undefined ? undefined : mailboxProblem(mailbox);
    return [key, problem && `"${key}": ${problem}`];
  });
  const found: readonly (readonly [string, string | undefined])[] = [
    ["subject", subject === "" ? 'the key "subject" is missing or empty' : undefined],
    ["subject", /[\r\n]/.test(subject) ? "a subject has one line" : undefined],
    ...mailboxes,
    ["locale", locale === undefined ? undefined : localeProblem(locale)],
    ["time_zone", time_zone === undefined ? undefined : timeZoneProblem(time_zone)],
  ];
  return found.flatMap(([key, problem]) => (problem === undefined ? [] : [[key, problem] as const]));
}

function textsProblems(source: TemplateSource): readonly string[] {
  const { subject, preheader = "", html = "", text = "", headers = {}, partials = {} } = source;
  const texts = [subject, preheader, html, text, ...Object.values(headers), ...Object.values(partials)];
  const chars = texts.reduce((sum, one) => sum + one.length, 0);
  return [
    ...(chars > SOURCE_CHARS_MAX
      ? [`all texts together have ${chars} characters, at most ${SOURCE_CHARS_MAX} are taken`]
      : []),
    ...(texts.some((one) => one.includes("\0")) ? ["a text holds NUL"] : []),
  ];
}

/** Who a mail is from is the same for all recipients: constant, so that it can be checked here and now. */
function mailboxProblem(mailbox: string): string | undefined {
  if (/\{\{|\{%/.test(mailbox)) return "takes no Liquid";
  const parsed = parseMailbox(mailbox);
  return parsed.kind === "bad" ? `not a mailbox: ${parsed.reason}` : undefined;
}

function headersProblems(headers: Readonly<Record<string, string>>): Named {
  const names = Object.keys(headers);
  if (names.length > HEADERS_MAX) return [["", `has ${names.length} headers, at most ${HEADERS_MAX} are taken`]];
  return names.flatMap((name): Named => {
    const problem = headerNameProblem(name);
    if (problem !== undefined) return [[name, `headers: "${name.slice(0, 76)}": ${problem}`]];
    const isDouble = names.some((other) => other !== name && other.toLowerCase() === name.toLowerCase());
    if (isDouble) return [[name, `headers: "${name}" stands there twice`]];
    return /[\r\n]/.test(headers[name]!) ? [[name, `headers: "${name}" has one line`]] : [];
  });
}

function partialsProblems(partials: Readonly<Record<string, string>>): Named {
  const names = Object.keys(partials);
  if (names.length > PARTIALS_MAX)
    return [["template.yaml", `has ${names.length} partials, at most ${PARTIALS_MAX} are taken`]];
  return names.flatMap((name): Named => {
    if (!isPartialFile(name))
      return [["template.yaml", `"${name.slice(0, 76)}" is not the name of a partial, such as footer.html`]];
    const { length } = partials[name]!;
    const message = `has ${length} characters, at most ${PART_CHARS_MAX} are taken`;
    return length > PART_CHARS_MAX ? [[`partials/${name}`, message]] : [];
  });
}

// ---- text ------------------------------------------------------------------------------------------------------------

type TextAdded =
  | { readonly kind: "added"; readonly source: TemplateSource }
  | { readonly kind: "bad"; readonly problems: readonly TemplateProblem[] };

/** Of the HTML, and of those partials that have none for text yet: a text part uses the same names. */
function addText(source: TemplateSource, html: string): TextAdded {
  const partials = { ...source.partials };
  for (const [file, text] of Object.entries(source.partials ?? {})) {
    const name = file.replace(/\.\w+$/, "");
    if (file.endsWith(".txt") || Object.hasOwn(partials, `${name}.txt`)) continue;
    if (file.endsWith(".liquid") && !/<[a-z!/]/i.test(text)) continue;
    const made = textFromHtml(text);
    if (made.kind === "bad") return bad(`partials/${file}`, noText(file, `partials/${name}.txt`, made.why));
    partials[`${name}.txt`] = made.text;
  }
  const made = textFromHtml(html);
  if (made.kind === "bad") return bad("body.html", noText("it", "body.txt", made.why));
  const added = {
    ...source,
    text: made.text,
    ...(Object.keys(partials).length === 0 ? {} : { partials }),
  };
  const parsed = parseTemplate(added);
  if (parsed.kind === "parsed") return { kind: "added", source: added };
  const [first] = parsed.problems;
  return bad("body.html", noText("it", "body.txt", `${first!.file}:${first!.line}: ${first!.message}`));
}

function noText(what: string, file: string, why: string): string {
  return `no text could be made from ${what} (${why}): write ${file}`;
}

function bad(file: string, message: string): { readonly kind: "bad"; readonly problems: readonly TemplateProblem[] } {
  return { kind: "bad", problems: [{ file, line: 1, column: 1, message }] };
}
