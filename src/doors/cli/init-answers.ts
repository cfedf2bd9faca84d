// The answers to the four questions of `postlane init`: from a flag where one is given, else asked where somebody sits at a
// terminal, else the default where --yes allows it. What is still missing is named, all of it at once.

import path from "node:path";
import { text as readText } from "node:stream/consumers";
import { parseMailbox } from "../../mail/address.ts";
import type { PostfixFound } from "../../mailers/postfix/find-postfix.ts";
import { isLoopback, parseHost } from "../../platform/config-host.ts";
import { TLS, WAYS_IN, type Tls, type WayIn, type WayOut } from "../../setup/first-config.ts";
import { misused } from "./command-failure.ts";
import type { CommonOptions } from "./output.ts";

export interface InitOptions extends CommonOptions {
  readonly mailBy?: string;
  readonly host?: string;
  readonly tls?: string;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly from?: string;
  readonly database?: string;
  readonly waysIn?: string;
  readonly dataDir?: string;
  readonly testTo?: string;
  /** False by --no-test. */
  readonly test: boolean;
  readonly yes?: boolean;
  readonly force?: boolean;
}

export const WAYS_OUT = ["postfix", "relay", "provider", "capture"] as const;

/** How somebody at a terminal is asked. */
export interface InitQuestions {
  mailBy(postfix: PostfixFound | undefined): Promise<string>;
  host(whose: "relay" | "provider"): Promise<string>;
  tls(usual: Tls): Promise<string>;
  user(): Promise<string>;
  password(): Promise<string>;
  from(): Promise<string>;
  /** `embedded`, or an address. */
  database(known: string | undefined): Promise<string>;
  waysIn(): Promise<readonly WayIn[]>;
  /** Undefined: none. */
  testTo(usual: string): Promise<string | undefined>;
}

/** What the answers are taken from, beside the flags. */
export interface InitSurroundings {
  /** Absent: nobody can be asked. */
  readonly questions?: InitQuestions;
  readonly postfix: PostfixFound | undefined;
  /** DATABASE_URL. */
  readonly databaseUrl: string | undefined;
  /** The sender that a configuration without one has. */
  readonly defaultFrom: string;
}

export interface InitAnswers {
  readonly wayOut: WayOut;
  /** To be kept in the file that `wayOut` names; absent: that file is there. */
  readonly password?: string;
  readonly from: string;
  /** Undefined: the embedded one. */
  readonly databaseUrl: string | undefined;
  readonly waysIn: readonly WayIn[];
  /** Undefined: no test mail. */
  readonly testTo: string | undefined;
}

export const PASSWORD_FILE = "smtp-password";
export const EMBEDDED = "embedded";

export async function initAnswers(options: InitOptions, around: InitSurroundings): Promise<InitAnswers> {
  refuseMissing(options, around);
  const { wayOut, password } = await answerWayOut(options, around);
  const from = checkedMailbox("--from", options.from ?? (await around.questions?.from()) ?? around.defaultFrom);
  return {
    wayOut,
    ...(password === undefined ? {} : { password }),
    from,
    databaseUrl: await answerDatabase(options, around),
    waysIn: await answerWaysIn(options, around),
    testTo: await answerTest(options, around, from),
  };
}

/** Without a terminal, before anything is done. */
function refuseMissing(options: InitOptions, { questions }: InitSurroundings): void {
  if (questions !== undefined) return;
  const isLeft = options.yes === true;
  const missing = [
    ...(isLeft || options.mailBy !== undefined ? [] : ["--mail-by"]),
    ...(isLeft || options.from !== undefined ? [] : ["--from"]),
    ...(isLeft || options.database !== undefined ? [] : ["--database"]),
    ...(isLeft || options.waysIn !== undefined ? [] : ["--ways-in"]),
    ...(isLeft || options.testTo !== undefined || !options.test ? [] : ["--test-to (or --no-test)"]),
    ...(isFar(options.mailBy) && options.host === undefined ? ["--host"] : []),
    ...(options.mailBy === "provider" && options.user === undefined ? ["--user"] : []),
    ...(options.mailBy === "provider" && options.passwordFile === undefined ? ["--password-file"] : []),
  ];
  if (missing.length === 0) return;
  throw misused(
    `Nobody can be asked here, and ${missing.length === 1 ? "a flag is" : "flags are"} missing: ${missing.join(", ")}.` +
      (isLeft ? "" : " --yes takes the defaults of the first five."),
  );
}

const isFar = (mailBy: string | undefined): boolean => mailBy === "relay" || mailBy === "provider";

// ---- how mail leaves

interface WayOutAnswered {
  readonly wayOut: WayOut;
  readonly password?: string;
}

async function answerWayOut(options: InitOptions, around: InitSurroundings): Promise<WayOutAnswered> {
  const { questions, postfix } = around;
  // Without a word from anybody, nothing leaves this machine.
  const mailBy = oneOf(WAYS_OUT, "--mail-by", options.mailBy ?? (await questions?.mailBy(postfix)) ?? "capture");
  switch (mailBy) {
    case "capture":
      return { wayOut: { kind: "capture" } };
    case "postfix": {
      if (postfix === undefined && options.host === undefined) {
        throw misused(
          "There is no Postfix on this machine (/etc/postfix, postconf). Give --host, or another --mail-by.",
        );
      }
      const host = checkedHost(options.host ?? postfix!.host);
      return { wayOut: { kind: mailBy, host, tls: checkedTls(options.tls ?? tlsFor(host)) } };
    }
    case "relay": {
      const host = checkedHost(options.host ?? (await questions?.host("relay")) ?? "");
      const tls = checkedTls(options.tls ?? (await questions?.tls(tlsFor(host))) ?? tlsFor(host));
      return { wayOut: { kind: mailBy, host, tls } };
    }
    case "provider":
      return await answerProvider(options, around);
  }
}

async function answerProvider(options: InitOptions, { questions }: InitSurroundings): Promise<WayOutAnswered> {
  const host = checkedHost(options.host ?? (await questions?.host("provider")) ?? "");
  const tls = checkedTls(options.tls ?? (parseHost(host)?.port === 465 ? "implicit" : "required"));
  const user = options.user ?? (await questions?.user()) ?? "";
  if (!/^[^\p{Cc}]{1,500}$/u.test(user)) throw misused("--user is the name that the provider knows you by.");
  const about = { kind: "provider", host, tls, user } as const;
  if (options.passwordFile !== undefined && options.passwordFile !== "-") {
    return { wayOut: { ...about, passwordFile: path.resolve(options.passwordFile) } };
  }
  const given = options.passwordFile === "-" ? await readText(process.stdin) : ((await questions?.password()) ?? "");
  const password = given.replace(/\r?\n$/, "");
  if (!/^[^\0\r\n]{1,500}$/.test(password)) throw misused("A password is one line of 1 to 500 characters.");
  return { wayOut: { ...about, passwordFile: `./${PASSWORD_FILE}` }, password };
}

/** To this machine nothing crosses a wire; elsewhere whatever there is. */
function tlsFor(host: string): Tls {
  return isLoopback(parseHost(host)?.host ?? "") ? "off" : "opportunistic";
}

// ---- the other three, and the test mail

async function answerDatabase(options: InitOptions, around: InitSurroundings): Promise<string | undefined> {
  const { databaseUrl, questions } = around;
  const given = options.database ?? (await questions?.database(databaseUrl)) ?? databaseUrl ?? EMBEDDED;
  if (given === EMBEDDED) {
    if (databaseUrl === undefined) return undefined;
    throw misused("DATABASE_URL is set and goes before any configuration: unset it for the embedded database.");
  }
  if (/^postgres(?:ql)?:\/\/[^\s\p{Cc}]+$/u.test(given)) return given;
  throw misused('--database is "embedded", or an address such as postgres://user@host/database.');
}

async function answerWaysIn(options: InitOptions, { questions }: InitSurroundings): Promise<readonly WayIn[]> {
  if (options.waysIn === undefined) return (await questions?.waysIn()) ?? ["http", "smtp", "sendmail"];
  const names = options.waysIn.split(",").map((name) => name.trim());
  return [...new Set(names.map((name) => oneOf(WAYS_IN, "--ways-in", name)))];
}

async function answerTest(
  options: InitOptions,
  { questions }: InitSurroundings,
  from: string,
): Promise<string | undefined> {
  if (!options.test) return undefined;
  const own = addressOf(from);
  const to = options.testTo ?? (questions === undefined ? own : await questions.testTo(own));
  return to === undefined ? undefined : addressOf(checkedMailbox("--test-to", to));
}

function addressOf(mailbox: string): string {
  const parsed = parseMailbox(mailbox);
  return parsed.kind === "mailbox" ? parsed.address : mailbox;
}

// ---- checks

/** What is wrong, for a question that is asked again; undefined: nothing. */
export function mailboxProblem(given: string): string | undefined {
  const parsed = parseMailbox(given);
  return parsed.kind === "mailbox" ? undefined : `Not a mailbox (${parsed.reason}): "Example <hello@example.com>".`;
}

export function hostProblem(given: string): string | undefined {
  return parseHost(given) === undefined ? 'Not a host: "relay.example.com:587" or "[::1]:25".' : undefined;
}

function checkedMailbox(flag: string, given: string): string {
  const problem = mailboxProblem(given);
  if (problem !== undefined) throw misused(`${flag}: ${problem}`);
  return given;
}

function checkedHost(given: string): string {
  const problem = hostProblem(given);
  if (problem !== undefined) throw misused(`--host: ${problem}`);
  return given;
}

const checkedTls = (given: string): Tls => oneOf(TLS, "--tls", given);

function oneOf<const Name extends string>(names: readonly Name[], flag: string, given: string): Name {
  const found = names.find((name) => name === given);
  if (found === undefined) throw misused(`${flag} is one of ${names.join(", ")}.`);
  return found;
}
