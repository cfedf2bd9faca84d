// The domain that a mail says it is from, of a From field's value (RFC 5322 §3.4, one character for each octet): the one
// that looks for the keys to sign with. Strict: what could be read in two ways has none, and neither has a field whose
// authors are of different domains. A domain in UTF-8 is answered as A-labels.

import { domainToASCII } from "node:url";

export function fromDomain(value: string): string | undefined {
  const addresses = addressesOf(value.replace(/\r\n/g, ""));
  const [first, ...others] = (addresses ?? []).map(wireDomain);
  return others.every((domain) => domain === first) ? first : undefined;
}

const TOKEN = /[ \t]+|"(?:[^"\\]|\\.)*"|([<>,])|(\()|([^\s"(),<>\\[\]:;]+)/y;

/** Of each mailbox, `Name <address>` or `address`; undefined when it is not a list of them. */
function addressesOf(value: string): readonly string[] | undefined {
  const addresses: string[] = [];
  let mailbox = EMPTY;
  let at = 0;
  while (at < value.length) {
    TOKEN.lastIndex = at;
    const [all, special, comment, word] = TOKEN.exec(value) ?? [];
    if (all === undefined) return undefined;
    at = comment === undefined ? at + all.length : endOfComment(value, at + 1);
    if (special === ",") {
      const address = addressOf(mailbox);
      if (address === undefined) return undefined;
      addresses.push(address);
      mailbox = EMPTY;
    } else if (special !== undefined || word !== undefined) {
      const next = withToken(mailbox, special ?? word!);
      if (next === undefined) return undefined;
      mailbox = next;
    }
  }
  const last = addressOf(mailbox);
  return last === undefined ? undefined : [...addresses, last];
}

interface Mailbox {
  /** Words outside of angle brackets. */
  readonly words: readonly string[];
  readonly angle: "none" | "open" | "closed";
  readonly inAngle: string | undefined;
}

const EMPTY: Mailbox = { words: [], angle: "none", inAngle: undefined };

function withToken(mailbox: Mailbox, token: string): Mailbox | undefined {
  if (token === "<") return mailbox.angle === "none" ? { ...mailbox, angle: "open" } : undefined;
  if (token === ">") return mailbox.angle === "open" ? { ...mailbox, angle: "closed" } : undefined;
  if (mailbox.angle === "none") return { ...mailbox, words: [...mailbox.words, token] };
  if (mailbox.angle === "closed" || mailbox.inAngle !== undefined) return undefined;
  return { ...mailbox, inAngle: token };
}

function addressOf({ words, angle, inAngle }: Mailbox): string | undefined {
  if (angle === "none") return words.length === 1 ? words[0] : undefined;
  return angle === "closed" ? inAngle : undefined;
}

/** Comments nest (RFC 5322 §3.2.2); one without an end takes the rest. */
function endOfComment(value: string, start: number): number {
  let depth = 1;
  for (let at = start; at < value.length; at++) {
    if (value[at] === "\\") at++;
    else if (value[at] === "(") depth++;
    else if (value[at] === ")" && --depth === 0) return at + 1;
  }
  return value.length;
}

function wireDomain(address: string): string | undefined {
  const at = address.lastIndexOf("@");
  if (at < 1) return undefined;
  const domain = domainToASCII(Buffer.from(address.slice(at + 1), "latin1").toString());
  return DOMAIN.test(domain) ? domain : undefined;
}

const DOMAIN = /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
