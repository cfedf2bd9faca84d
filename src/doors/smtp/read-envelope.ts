// Reads MAIL and RCPT (RFC 5321 §4.1.1) with the parameters of the extensions that are offered: SIZE (RFC 1870), BODY
// (RFC 6152), SMTPUTF8 (RFC 6531), AUTH (RFC 4954 §5, read and not used), RET, ENVID, NOTIFY and ORCPT (RFC 3461). Strict:
// a parameter that is unknown, doubled or ill-formed refuses the command. Addresses are kept as they were given, domains
// too: nothing is decoded, mapped or looked up. Pure.

import { isUtf8 } from "node:buffer";
import { addressProblem } from "../../mail/address.ts";
import type { SmtpReply } from "./smtp-reply.ts";

export interface MailCommand {
  readonly kind: "mail";
  /** Empty: the null sender. */
  readonly sender: string;
  readonly isUtf8: boolean;
  readonly ret?: "FULL" | "HDRS";
  readonly envid?: string;
}

export interface RcptCommand {
  readonly kind: "rcpt";
  readonly recipient: string;
  readonly notify?: string;
  readonly orcpt?: string;
}

type Refused = { readonly kind: "refused"; readonly reply: SmtpReply };

export function readMail(line: Buffer, messageBytesMax: number): MailCommand | Refused {
  const path = readPath(MAIL, line, "MAIL FROM:<local@domain>");
  if (path.kind === "refused") return path;
  const { address: sender, parameters } = path;
  const mayBeUtf8 = parameters.has("smtputf8");
  const problem =
    mailProblem(parameters) ?? sizeProblem(parameters.get("size"), messageBytesMax) ?? senderProblem(sender, mayBeUtf8);
  if (problem !== undefined) return { kind: "refused", reply: problem };
  const [ret, envid] = [parameters.get("ret")?.toUpperCase(), parameters.get("envid")];
  return {
    kind: "mail",
    sender,
    isUtf8: mayBeUtf8,
    ...(ret === undefined ? {} : { ret: ret === "FULL" ? "FULL" : "HDRS" }),
    ...(envid === undefined ? {} : { envid }),
  };
}

export function readRcpt(line: Buffer, mayBeUtf8: boolean): RcptCommand | Refused {
  const path = readPath(RCPT, line, "RCPT TO:<local@domain>");
  if (path.kind === "refused") return path;
  const { address: recipient, parameters } = path;
  const problem = rcptProblem(parameters, mayBeUtf8) ?? recipientProblem(recipient, mayBeUtf8);
  if (problem !== undefined) return { kind: "refused", reply: problem };
  const [notify, orcpt] = [parameters.get("notify")?.toUpperCase(), parameters.get("orcpt")];
  return {
    kind: "rcpt",
    recipient,
    ...(notify === undefined ? {} : { notify }),
    ...(orcpt === undefined ? {} : { orcpt }),
  };
}

// ---- a path and its parameters ---------------------------------------------------------------------------------------

/** By name, in lower case. A parameter without a value has the empty one. */
type Parameters = ReadonlyMap<string, string>;

/** A source route before the address is dropped (RFC 5321 appendix C). */
const PATH = String.raw`[ \t]*<(?:@[^<>:@ ,]+(?:,@[^<>:@ ,]+)*:)?([^<>]*)>((?:[ \t]+[^ \t]+)*)[ \t]*$`;
const MAIL = new RegExp(`^MAIL FROM:${PATH}`, "i");
const RCPT = new RegExp(`^RCPT TO:${PATH}`, "i");
const PARAMETER = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=(.+))?$/;
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/;

function readPath(
  form: RegExp,
  line: Buffer,
  example: string,
): { readonly kind: "path"; readonly address: string; readonly parameters: Parameters } | Refused {
  const text = line.toString("utf8");
  const [, address, written = ""] = isUtf8(line) && !CONTROL.test(text) ? (form.exec(text) ?? []) : [];
  if (address === undefined) return refused(501, `5.5.2 it must be of the form ${example}`);
  const parameters = new Map<string, string>();
  for (const word of written.split(/[ \t]+/).filter((each) => each !== "")) {
    const [, name = "", value = ""] = PARAMETER.exec(word) ?? [];
    if (name === "") return refused(501, "5.5.4 a parameter is ill-formed");
    if (parameters.has(name.toLowerCase())) return refused(501, "5.5.4 a parameter is given twice");
    parameters.set(name.toLowerCase(), value);
  }
  return { kind: "path", address, parameters };
}

function refused(code: number, text: string): Refused {
  return { kind: "refused", reply: { code, text } };
}

// ---- parameters ------------------------------------------------------------------------------------------------------

const MAIL_PARAMETERS: ReadonlyMap<string, { readonly value: RegExp; readonly expected: string }> = new Map([
  ["size", { value: /^\d{1,20}$/, expected: "SIZE must be a number of octets" }],
  ["body", { value: /^(?:7BIT|8BITMIME)$/i, expected: "BODY must be 7BIT or 8BITMIME" }],
  ["smtputf8", { value: /^$/, expected: "SMTPUTF8 takes no value" }],
  ["auth", { value: /^[!-~]+$/, expected: "AUTH must be an xtext, or <>" }],
  ["ret", { value: /^(?:FULL|HDRS)$/i, expected: "RET must be FULL or HDRS" }],
]);
/** RFC 3461 §4.4. */
const ENVID_CHARS_MAX = 100;
/** RFC 3461 §4.2. */
const ORCPT_CHARS_MAX = 500;

function mailProblem(parameters: Parameters): SmtpReply | undefined {
  for (const [name, value] of parameters) {
    if (name === "envid") {
      if (isXtext(value) && value.length <= ENVID_CHARS_MAX) continue;
      return { code: 501, text: `5.5.4 ENVID must be an xtext of at most ${ENVID_CHARS_MAX} characters` };
    }
    const known = MAIL_PARAMETERS.get(name);
    if (known === undefined) return UNKNOWN_PARAMETER;
    if (!known.value.test(value)) return { code: 501, text: `5.5.4 ${known.expected}` };
  }
  return undefined;
}

function rcptProblem(parameters: Parameters, mayBeUtf8: boolean): SmtpReply | undefined {
  for (const [name, value] of parameters) {
    switch (name) {
      case "notify":
        if (isNotify(value)) continue;
        return { code: 501, text: "5.5.4 NOTIFY must be NEVER, or a list of SUCCESS, FAILURE and DELAY" };
      case "orcpt":
        if (value.length <= ORCPT_CHARS_MAX && isOrcpt(value, mayBeUtf8)) continue;
        return { code: 501, text: "5.5.4 ORCPT must be an address type, a semicolon and an xtext" };
      default:
        return UNKNOWN_PARAMETER;
    }
  }
  return undefined;
}

/** RFC 5321 §4.1.1.11. */
const UNKNOWN_PARAMETER: SmtpReply = { code: 555, text: "5.5.4 a parameter is not known here" };

function sizeProblem(size: string | undefined, bytesMax: number): SmtpReply | undefined {
  if (size === undefined || Number(size) <= bytesMax) return undefined;
  return { code: 552, text: `5.3.4 the mail is too large: at most ${bytesMax} octets are taken` };
}

/** RFC 3461 §4: printable ASCII without `+` and `=`, and any octet in hex; decoded, it must be printable too. */
function isXtext(text: string): boolean {
  return /^(?:[!-*,-<>-~]|\+(?:[2-6][0-9A-F]|7[0-9A-E]))+$/.test(text);
}

/** RFC 3461 §4.1. */
function isNotify(text: string): boolean {
  const words = text.toUpperCase().split(",");
  if (words.length === 1 && words[0] === "NEVER") return true;
  return words.every((word) => ["SUCCESS", "FAILURE", "DELAY"].includes(word)) && new Set(words).size === words.length;
}

const ADDRESS_TYPE = /^([A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*);(.+)$/;

/** RFC 3461 §4.2; an address of type utf-8 may stand as it is where UTF-8 is allowed (RFC 6533 §3). */
function isOrcpt(text: string, mayBeUtf8: boolean): boolean {
  const [, type = "", address = ""] = ADDRESS_TYPE.exec(text) ?? [];
  const isUtf8Type = type.toLowerCase() === "utf-8";
  return isXtext(isUtf8Type && mayBeUtf8 ? address.replaceAll(/[\u{a1}-\u{10ffff}]/gu, "u") : address);
}

// ---- addresses -------------------------------------------------------------------------------------------------------

function recipientProblem(address: string, mayBeUtf8: boolean): SmtpReply | undefined {
  const problem = addressProblem(address);
  if (problem !== undefined) return { code: 553, text: `5.1.3 not an address that mail can be sent to: ${problem}` };
  return utf8Problem(address, mayBeUtf8);
}

/**
 * The null sender, an address, or one at a machine whose name has no dot, such as scripts and cron have: it is only told
 * to the relay, and judged there.
 */
function senderProblem(address: string, mayBeUtf8: boolean): SmtpReply | undefined {
  if (address === "") return undefined;
  const problem = addressProblem(address);
  if (problem !== undefined && addressProblem(`${address}.localdomain`) !== undefined) {
    return { code: 553, text: `5.1.7 not an address that mail can come from: ${problem}` };
  }
  return utf8Problem(address, mayBeUtf8);
}

/** RFC 6531 §3.5. */
function utf8Problem(address: string, mayBeUtf8: boolean): SmtpReply | undefined {
  if (mayBeUtf8 || /^[ -~]*$/.test(address)) return undefined;
  return { code: 553, text: "5.6.7 an address beyond ASCII needs SMTPUTF8 with MAIL" };
}
