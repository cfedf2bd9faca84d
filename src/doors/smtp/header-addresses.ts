// The addresses in a header field such as From (RFC 5322 §3.4), for keys that may only be used for some domains. Strict:
// what could be read in two ways is not understood at all, since the recipient's program may read it the other way. An
// address that stands as a display name counts too. Pure, one look at each character.

import { addressProblem } from "../../mail/address.ts";

/** Undefined: it cannot be told for sure. */
export function headerAddresses(value: string): readonly string[] | undefined {
  const tokens = readTokens(value);
  const mailboxes = tokens === undefined ? undefined : splitAt(tokens, ",");
  if (mailboxes === undefined) return undefined;
  const addresses = mailboxes.map(addressesOfMailbox);
  if (addresses.some((each) => each === undefined)) return undefined;
  return addresses.flatMap((each) => each!);
}

/** A special character, a word of ordinary ones, or the text of a quoted string; comments and white space part them. */
type Token = { readonly kind: "special" | "word" | "quoted"; readonly text: string };

const TOKEN = /[ \t]+|([<>,])|("(?:[^"\\]|\\.)*")|(\()|([^\s"(),<>\\[\]:;]+)/y;

function readTokens(value: string): readonly Token[] | undefined {
  const tokens: Token[] = [];
  let at = 0;
  while (at < value.length) {
    TOKEN.lastIndex = at;
    const [all = "", special, quoted, comment, word] = TOKEN.exec(value) ?? [];
    if (all === "") return undefined;
    at += all.length;
    if (special !== undefined) tokens.push({ kind: "special", text: special });
    if (quoted !== undefined) tokens.push({ kind: "quoted", text: quoted });
    if (word !== undefined) tokens.push({ kind: "word", text: word });
    if (comment === undefined) continue;
    const end = endOfComment(value, at);
    if (end === undefined) return undefined;
    at = end;
  }
  return tokens;
}

/** Comments nest (RFC 5322 §3.2.2). */
function endOfComment(value: string, start: number): number | undefined {
  let depth = 1;
  for (let at = start; at < value.length; at++) {
    if (value[at] === "\\") at++;
    else if (value[at] === "(") depth++;
    else if (value[at] === ")" && --depth === 0) return at + 1;
  }
  return undefined;
}

function splitAt(tokens: readonly Token[], special: string): readonly (readonly Token[])[] {
  const parts: Token[][] = [[]];
  for (const token of tokens) {
    if (token.kind === "special" && token.text === special) parts.push([]);
    else parts.at(-1)!.push(token);
  }
  return parts;
}

/** `Name <address>`, `<address>` or `address`. */
function addressesOfMailbox(tokens: readonly Token[]): readonly string[] | undefined {
  const open = tokens.findIndex(({ kind, text }) => kind === "special" && text === "<");
  if (open === -1) return tokens.length === 1 ? checked(tokens) : undefined;
  const [address, close] = [tokens[open + 1], tokens[open + 2]];
  if (address === undefined || close?.kind !== "special" || close.text !== ">") return undefined;
  if (tokens.length !== open + 3) return undefined;
  const name = tokens.slice(0, open);
  if (name.some(({ kind }) => kind === "special")) return undefined;
  return checked([...name.filter(({ kind, text }) => kind === "word" && text.includes("@")), address]);
}

function checked(tokens: readonly Token[]): readonly string[] | undefined {
  const areAddresses = tokens.every(({ kind, text }) => kind === "word" && addressProblem(text) === undefined);
  return areAddresses ? tokens.map(({ text }) => text) : undefined;
}
