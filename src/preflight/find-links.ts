// Links and images in a message's HTML, and addresses in its text, and what is wrong with one. By looking, not by parsing: a
// mail's HTML is of any making. Every pattern is bounded, since the HTML may be hostile. Asks nobody whether a host is there.

import { isPublic, parseIp } from "../senders/domains/ip-address.ts";
import type { FindingCode } from "./finding-catalogue.ts";

export interface FoundLink {
  readonly kind: "link" | "image";
  /** As the reader's program takes it: without character references. Undefined: there is no href. */
  readonly target: string | undefined;
}

/** What is behind so much of it is not looked at: Gmail has clipped it long before. */
const HTML_CHARS_MAX = 500_000;
/** Longer ones are left out: nobody writes them. */
const TAG_CHARS_MAX = 5000;
const TAG = new RegExp(
  String.raw`<(a|area|img)\s((?:"[^"]{0,4000}"|'[^']{0,4000}'|[^'"<>]){0,${TAG_CHARS_MAX}})>`,
  "gi",
);
const HREF = /(?:^|\s)href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i;
const SRC = /(?:^|\s)src\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i;

export function linksIn(html: string): readonly FoundLink[] {
  return [...html.slice(0, HTML_CHARS_MAX).matchAll(TAG)].flatMap(([, tag = "", attributes = ""]) => {
    const isImage = tag.toLowerCase() === "img";
    const [, double, single, bare] = (isImage ? SRC : HREF).exec(attributes) ?? [];
    const target = double ?? single ?? bare;
    // An anchor to lead to has no href.
    if (target === undefined && !isImage) return [];
    return [{ kind: isImage ? "image" : "link", target: target === undefined ? undefined : decode(target) }];
  });
}

export function linksInText(text: string): readonly FoundLink[] {
  return [...text.matchAll(/\bhttps?:\/\/[^\s<>"']{0,2000}/gi)].map(([found]) => ({
    kind: "link",
    target: found.replace(/[.,;:!?)\]]+$/, ""),
  }));
}

export interface LinkProblem {
  readonly code: FindingCode;
  readonly detail: string;
}

/** `contentIds`: of the attachments. */
export function linkProblem({ kind, target }: FoundLink, contentIds: ReadonlySet<string>): LinkProblem | undefined {
  const address = target?.trim();
  if (kind === "image") return imageProblem(address ?? "", contentIds);
  if (address === undefined || address === "" || address === "#")
    return { code: "link_empty", detail: `href="${address ?? ""}"` };
  // To an anchor of the mail itself.
  if (address.startsWith("#")) return undefined;
  if (!URL.canParse(address)) return { code: "link_broken", detail: address };
  const url = new URL(address);
  if (!FOLLOWED.has(url.protocol)) return { code: "link_broken", detail: address };
  if (!isWeb(url)) return url.pathname === "" ? { code: "link_empty", detail: address } : undefined;
  if (isPrivateHost(url.hostname)) return { code: "link_private", detail: address };
  return url.protocol === "http:" ? { code: "link_insecure", detail: address } : undefined;
}

function imageProblem(address: string, contentIds: ReadonlySet<string>): LinkProblem | undefined {
  if (/^cid:/i.test(address))
    return contentIds.has(decodeId(address.slice(4))) ? undefined : { code: "image_missing", detail: address };
  if (!URL.canParse(address)) return { code: "image_insecure", detail: `src="${address}"` };
  const url = new URL(address);
  if (isWeb(url) && isPrivateHost(url.hostname)) return { code: "link_private", detail: address };
  return url.protocol === "https:" ? undefined : { code: "image_insecure", detail: address };
}

const FOLLOWED: ReadonlySet<string> = new Set(["http:", "https:", "mailto:", "tel:", "sms:", "webcal:"]);

function isWeb({ protocol }: URL): boolean {
  return protocol === "http:" || protocol === "https:";
}

/** Names that are nobody's in the world (RFC 6761, RFC 6762, RFC 8375), names without a dot, addresses of networks inside. */
export function isPrivateHost(host: string): boolean {
  const ip = parseIp(host.replaceAll(/[[\]]/g, ""));
  if (ip !== undefined) return !isPublic(ip);
  const name = host.toLowerCase().replace(/\.$/, "");
  return (
    !name.includes(".") || /\.(?:localhost|localdomain|local|internal|lan|intranet|home\.arpa|test|invalid)$/.test(name)
  );
}

function decodeId(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const REFERENCES: Readonly<Record<string, string>> = { amp: "&", quot: '"', apos: "'", lt: "<", gt: ">", "#38": "&" };

function decode(text: string): string {
  return text.replace(/&(#?\w{1,8});/g, (all, name: string) => REFERENCES[name.toLowerCase()] ?? all);
}

/** Of links by what they say, in the languages of most newsletters. */
const UNSUBSCRIBE_WORDS =
  /unsubscrib|opt[ -]?out|abmeld|abbestell|austrag|désabonn|desabonn|désinscri|desinscri|darse de baja|cancelar|disiscri|annulla|afmeld|uitschrijv|avprenumer|avregistrer|frameld|wypisz|odhlás|отпис|unsub|配信停止|退订|preferences/i;

/** Whether a reader sees where to unsubscribe: by its address, or by a link that says so. */
export function showsUnsubscribe(html: string | undefined, text: string | undefined, url: string | undefined): boolean {
  if (url !== undefined && (decode(html ?? "").includes(url) || text?.includes(url))) return true;
  const anchors = (html ?? "").slice(0, HTML_CHARS_MAX).matchAll(/<a\s[^>]{0,5000}>(.{0,1000}?)<\/a>/gis);
  if ([...anchors].some(([anchor]) => UNSUBSCRIBE_WORDS.test(anchor))) return true;
  // In a text the word and the address are neighbours.
  return html === undefined && UNSUBSCRIBE_WORDS.test(text ?? "");
}
