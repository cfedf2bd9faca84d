// Renders the messages of a preflight one after another and looks at each. Memory stays flat: what is found is counted, sizes
// go into a histogram, and links that were judged are remembered up to a bound. A template that is slow beyond measure (a loop
// within loops) ends the rendering, and is told; Liquid's own limits end each part of it.

import type { Clock } from "../platform/clock.ts";
import type { MergeData } from "../templates/compiled-template.ts";
import { fillPieces } from "../templates/fill-pieces.ts";
import { contentIdsOf, type TemplateFacts } from "./check-template-facts.ts";
import { createFindings, type FindingCollector } from "./collect-findings.ts";
import { linkProblem, linksIn, linksInText, showsUnsubscribe, type FoundLink, type LinkProblem } from "./find-links.ts";
import type { OpenedCopies } from "./open-copies.ts";
import { fillParts, headersOf } from "./preview-copy.ts";
import type { Chunk } from "./read-ahead.ts";
import type { ListedRecipient } from "./recipient-store.ts";
import { createSizeHistogram, type SizeHistogram } from "./size-histogram.ts";

/** An ordinary message takes a hundredth of it. */
const SLOW_MS = 100;
/** Of slow messages together. At this rate a list of a thousand takes minutes. */
const SLOW_TOTAL_MS_MAX = 20_000;
/** RFC 5322 §2.1.1; programs show fewer. */
const SUBJECT_CHARS_WANTED_MAX = 78;
/** Where Gmail clips a message. */
const HTML_BYTES_WANTED_MAX = 102 * 1024;
const MESSAGE_BYTES_WANTED_MAX = 10 * 1024 * 1024;
/** Judged links that are kept in mind, so that what many have is judged once. */
const LINKS_KNOWN_MAX = 10_000;

export interface Rendered {
  readonly looked_at: number;
  readonly rendered: number;
  readonly suppressed: number;
  readonly size: ReturnType<SizeHistogram["summary"]>;
  /** It was ended, since the template is too slow. */
  readonly isEnded: boolean;
}

interface Work {
  readonly copies: OpenedCopies;
  readonly facts: TemplateFacts;
  readonly findings: FindingCollector;
  readonly clock: Pick<Clock, "monotonicMs" | "wallMs">;
  readonly sizes: SizeHistogram;
  readonly judge: (link: FoundLink) => LinkProblem | undefined;
  readonly attachmentsBytes: number;
  lookedAt: number;
  rendered: number;
  suppressed: number;
  slowMs: number;
}

export async function renderMessages(
  chunks: AsyncIterable<Chunk>,
  given: Pick<Work, "copies" | "facts" | "findings" | "clock">,
  onProgress: (lookedAt: number) => void,
): Promise<Rendered> {
  const work = openWork(given);
  for await (const { recipients, suppressed } of chunks) {
    for (const [place, recipient] of recipients.entries()) {
      lookAt(work, recipient, suppressed.get(place));
      if (work.slowMs > SLOW_TOTAL_MS_MAX) return endedOf(work);
    }
    onProgress(work.lookedAt);
  }
  return renderedOf(work, false);
}

function openWork(given: Pick<Work, "copies" | "facts" | "findings" | "clock">): Work {
  const { attachments, source } = given.copies;
  const contentIds = contentIdsOf(source);
  return {
    ...given,
    sizes: createSizeHistogram(),
    judge: rememberingJudge((link) => linkProblem(link, contentIds)),
    attachmentsBytes: attachments.reduce((sum, { length }) => sum + length, 0),
    lookedAt: 0,
    rendered: 0,
    suppressed: 0,
    slowMs: 0,
  };
}

function endedOf(work: Work): Rendered {
  work.findings.add("render_ended", `ended after ${work.lookedAt} recipients`);
  return renderedOf(work, true);
}

function renderedOf({ lookedAt, rendered, suppressed, sizes }: Work, isEnded: boolean): Rendered {
  return { looked_at: lookedAt, rendered, suppressed, size: sizes.summary(), isEnded };
}

function lookAt(work: Work, recipient: ListedRecipient, because: string | undefined): void {
  work.lookedAt++;
  if (because !== undefined) {
    work.suppressed++;
    work.findings.add("suppressed", because, recipient);
    return;
  }
  const tookMs = renderTimed(work, recipient);
  if (tookMs < SLOW_MS) return;
  // Once more, for nothing but the time: a machine that is busy with something else makes any message slow.
  const againMs = renderTimed({ ...work, findings: createFindings(), sizes: createSizeHistogram() }, recipient);
  if (againMs < SLOW_MS) return;
  const leastMs = Math.min(tookMs, againMs);
  work.slowMs += leastMs;
  work.findings.add("render_slow", `${Math.round(leastMs)} ms`, recipient);
}

function renderTimed(work: Work, recipient: ListedRecipient): number {
  const begunMs = work.clock.monotonicMs();
  try {
    renderOne(work, recipient);
    work.rendered++;
  } catch (error) {
    work.findings.add("render_failed", error instanceof Error ? error.message : String(error), recipient);
  }
  return work.clock.monotonicMs() - begunMs;
}

function renderOne(work: Work, recipient: ListedRecipient): void {
  const { copies, sizes } = work;
  const data = copies.dataOf(recipient);
  checkCells(work, data, recipient);
  const { text } = copies.compose(recipient, data, work.clock.wallMs());
  sizes.add(text.length);
  checkSubject(work, fillPieces("Subject", copies.mail.mail.subject, data), recipient);
  checkSize(work, text.length, data, recipient);
  if (text.includes("{{") || text.includes("{%")) checkUnfilled(work, data, recipient);
  if (work.rendered === 0) checkFirst(work, text, data, recipient);
  if (work.facts.hasOwnLinks) checkOwnLinks(work, data, recipient);
}

function checkCells({ facts, findings }: Work, data: MergeData, recipient: ListedRecipient): void {
  const empty = facts.required.filter((name) => isBlank(data[name]));
  if (empty.length > 0) findings.add("cell_empty", empty.join(", "), recipient);
}

function isBlank(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === "string" && value.trim() === "");
}

function checkSubject({ findings }: Work, subject: string, recipient: ListedRecipient): void {
  if (subject.trim() === "") findings.add("subject_empty", "", recipient);
  if (subject.length > SUBJECT_CHARS_WANTED_MAX)
    findings.add("subject_long", `${subject.length} characters: ${subject}`, recipient);
}

function checkSize(work: Work, bytes: number, data: MergeData, recipient: ListedRecipient): void {
  const { findings, copies, attachmentsBytes } = work;
  if (bytes > MESSAGE_BYTES_WANTED_MAX) findings.add("message_large", `${bytes} bytes`, recipient);
  const { html } = copies.mail.mail;
  // On the wire it is longer than it is.
  if (html === undefined || bytes - attachmentsBytes <= HTML_BYTES_WANTED_MAX) return;
  const htmlBytes = Buffer.byteLength(fillPieces("html", html.pieces, data));
  if (htmlBytes > HTML_BYTES_WANTED_MAX) findings.add("html_clipped", `${htmlBytes} bytes of HTML`, recipient);
}

/** In what a reader sees; an attachment may hold anything. */
function checkUnfilled({ copies, findings }: Work, data: MergeData, recipient: ListedRecipient): void {
  const { subject, text, html } = fillParts(copies, data);
  const parts = Object.entries({ subject, text, html }).filter(([, part]) => part !== undefined && UNFILLED.test(part));
  if (parts.length > 0) findings.add("liquid_unfilled", parts.map(([name]) => name).join(", "), recipient);
}

const UNFILLED = /\{\{|\{%/;

/** What is the same in all of them. */
function checkFirst(work: Work, raw: string, data: MergeData, recipient: ListedRecipient): void {
  const { copies, findings } = work;
  const seen = new Set<string>();
  for (const field of headersOf(raw)) {
    const name = field.slice(0, field.indexOf(":")).toLowerCase();
    if (seen.has(name) && ONCE.has(name)) findings.add("header_double", name);
    seen.add(name);
  }
  const { text, html } = fillParts(copies, data);
  const isMeant = copies.list?.url !== undefined || copies.mail.ownListHeaders.hasUnsubscribe;
  if (isMeant && !showsUnsubscribe(html, text, copies.list?.url))
    findings.add("unsubscribe_invisible", "seen in the first message", recipient);
}

/** Of those that a template may bring, or we write (RFC 5322 §3.6, RFC 8058 §3.1, RFC 2919 §3). */
const ONCE: ReadonlySet<string> = new Set([
  "from",
  "to",
  "reply-to",
  "subject",
  "date",
  "message-id",
  "mime-version",
  "content-type",
  "in-reply-to",
  "references",
  "list-id",
  "list-unsubscribe",
  "list-unsubscribe-post",
  "feedback-id",
  "precedence",
  "auto-submitted",
]);

function checkOwnLinks({ copies, findings, judge }: Work, data: MergeData, recipient: ListedRecipient): void {
  const { text, html } = fillParts(copies, data);
  const links = [...(html === undefined ? [] : linksIn(html)), ...(text === undefined ? [] : linksInText(text))];
  const problems = new Map(links.flatMap((link) => judge(link) ?? []).map((each) => [each.code + each.detail, each]));
  for (const { code, detail } of problems.values()) findings.add(code, detail, recipient);
}

function rememberingJudge(judge: (link: FoundLink) => LinkProblem | undefined) {
  const known = new Map<string, LinkProblem | undefined>();
  return (link: FoundLink): LinkProblem | undefined => {
    const key = `${link.kind} ${link.target}`;
    if (known.has(key)) return known.get(key);
    const problem = judge(link);
    if (known.size < LINKS_KNOWN_MAX) known.set(key, problem);
    return problem;
  };
}
