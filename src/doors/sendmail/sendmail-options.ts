// The arguments of sendmail as its callers give them (PHP, cron, git, mutt, Symfony): options in one word or two, several
// letters behind one minus, recipients behind. What has no meaning here and changes nothing is accepted; what asks for
// something that this command does not do is refused with what to do. Reads nothing but the arguments.

export type SendmailOptions =
  | { readonly kind: "send"; readonly send: SendOptions }
  /** Hand over what waits in the spool. */
  | { readonly kind: "flush" }
  /** `-bs`: the caller speaks SMTP itself. */
  | { readonly kind: "speak_smtp" }
  | { readonly kind: "misused"; readonly problem: string };

export interface SendOptions {
  readonly recipients: readonly string[];
  /** `-t`: those of To, Cc and Bcc too. */
  readonly takesRecipientsFromHeaders: boolean;
  /** A line that is a dot ends the mail, unless `-i`. */
  readonly endsAtDot: boolean;
  /** `-f`; empty: the null sender. */
  readonly sender?: string;
  /** `-F`: the name in From, if the mail has none. */
  readonly fullName?: string;
  /** `-R`, `-V` and `-N` (RFC 3461). */
  readonly ret?: "FULL" | "HDRS";
  readonly envid?: string;
  readonly notify?: string;
}

/** Letters that take a value, behind them or as the next argument; as Postfix's sendmail has them. */
const WITH_VALUE = "ABCFLNORVXbefhopr";
/** Their value, if any, is in the same word. */
const WITH_VALUE_BEHIND = "dq";
const ALONE = "GIUcimntv";

export function parseSendmailOptions(args: readonly string[]): SendmailOptions {
  const read: Read = { letters: [], recipients: [] };
  const problem = readWords(args, read);
  if (problem !== undefined) return { kind: "misused", problem };
  const send: Writable<SendOptions> = {
    recipients: read.recipients,
    takesRecipientsFromHeaders: false,
    endsAtDot: true,
  };
  for (const { letter, value } of read.letters) {
    const instead = applyLetter(letter, value, send);
    if (instead !== undefined) return instead;
  }
  return { kind: "send", send };
}

interface Read {
  readonly letters: { readonly letter: string; readonly value: string }[];
  readonly recipients: string[];
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Options end at `--` or at the first word that is none. The answer is what is wrong. */
function readWords(args: readonly string[], read: Read): string | undefined {
  for (let at = 0; at < args.length; at++) {
    const word = args[at]!;
    if (word === "--") return addRecipients(args.slice(at + 1), read);
    if (!word.startsWith("-") || word === "-") return addRecipients(args.slice(at), read);
    if (word === "--flush") read.letters.push({ letter: "flush", value: "" });
    else {
      const { problem, takesNext } = readLetters(word, args[at + 1], read);
      if (problem !== undefined) return problem;
      if (takesNext === true) at++;
    }
  }
  return undefined;
}

function addRecipients(words: readonly string[], { recipients }: Read): undefined {
  recipients.push(...words);
}

interface LettersRead {
  readonly problem?: string;
  readonly takesNext?: boolean;
}

function readLetters(word: string, next: string | undefined, { letters }: Read): LettersRead {
  for (let at = 1; at < word.length; at++) {
    const letter = word[at]!;
    const behind = word.slice(at + 1);
    const takesValue = WITH_VALUE.includes(letter);
    if (takesValue && behind === "" && next === undefined) return { problem: `option -${letter} needs a value` };
    if (takesValue || WITH_VALUE_BEHIND.includes(letter)) {
      const takesNext = takesValue && behind === "";
      letters.push({ letter, value: takesNext ? next! : behind });
      return { takesNext };
    }
    if (!ALONE.includes(letter)) return { problem: `there is no option ${printWord(word)}` };
    letters.push({ letter, value: "" });
  }
  return {};
}

function applyLetter(letter: string, value: string, send: Writable<SendOptions>): SendmailOptions | undefined {
  switch (letter) {
    case "t":
      send.takesRecipientsFromHeaders = true;
      return undefined;
    case "i":
      send.endsAtDot = false;
      return undefined;
    case "o":
      // `-oi` is `-i`; error modes, delivery modes and the rest are Sendmail's own affair.
      if (value === "i") send.endsAtDot = false;
      return undefined;
    case "f":
    case "r":
      send.sender = value.replace(/^<(.*)>$/, "$1");
      return undefined;
    case "F":
      send.fullName = value;
      return undefined;
    case "R":
      return applyRet(value, send);
    case "V":
      send.envid = value;
      return undefined;
    case "N":
      return applyNotify(value, send);
    case "b":
      return applyMode(value);
    case "q":
    case "flush":
      return { kind: "flush" };
    case "I":
      return applyMode("i");
    default:
      // Of Sendmail's own delivery, its logging and its files: nothing of it is here.
      return undefined;
  }
}

function applyRet(value: string, send: Writable<SendOptions>): SendmailOptions | undefined {
  const ret = value.toUpperCase();
  if (ret !== "FULL" && ret !== "HDRS") return misused('-R is "full" or "hdrs"');
  send.ret = ret;
  return undefined;
}

/** RFC 3461 §4.1. People write "failure, delay" with or without blanks. */
function applyNotify(value: string, send: Writable<SendOptions>): SendmailOptions | undefined {
  const words = value.toUpperCase().replaceAll(" ", "").split(",");
  const isNever = words.length === 1 && words[0] === "NEVER";
  if (!isNever && !words.every((word) => /^(?:SUCCESS|FAILURE|DELAY)$/.test(word))) {
    return misused('-N is "never", or a list of "success", "failure" and "delay"');
  }
  send.notify = words.join(",");
  return undefined;
}

function applyMode(mode: string): SendmailOptions | undefined {
  switch (mode) {
    case "m":
      return undefined;
    case "s":
      return { kind: "speak_smtp" };
    case "p":
      return misused("there is no queue to print here: see `postlane status` and `postlane message`");
    case "d":
    case "D":
      return misused("this command does not listen: Postlane does (`postlane up`, `listen.smtp`)");
    case "i":
      return misused("aliases stand in /etc/postlane/sendmail.json, and need no initializing");
    default:
      return misused(`mode -b${printWord(mode)} is not taken: give a mail on standard input, or -bs`);
  }
}

const misused = (problem: string): SendmailOptions => ({ kind: "misused", problem });

const printWord = (word: string): string => word.slice(0, 40).replaceAll(/[\p{Cc}\p{Cs}]/gu, "?");
