// The questions of `postlane init`, as a person at a terminal is asked them. Each answer is checked while it is typed in;
// Ctrl-C at any of them ends the command before anything was written.

import { cancel, isCancel, multiselect, password, select, text, type CANCEL_SYMBOL } from "@clack/prompts";
import type { PostfixFound } from "../../mailers/postfix/find-postfix.ts";
import { TLS, type WayIn } from "../../setup/first-config.ts";
import { CommandFailure } from "./command-failure.ts";
import { EMBEDDED, hostProblem, mailboxProblem, type InitQuestions } from "./init-answers.ts";

export const terminalQuestions: InitQuestions = {
  mailBy: async (postfix) =>
    await answered(
      select({
        message: "How does mail leave?",
        initialValue: postfix?.isListening === true ? "postfix" : "capture",
        options: [
          ...(postfix === undefined ? [] : [{ value: "postfix", label: postfixLabel(postfix) }]),
          { value: "relay", label: "Another mail server, which takes mail from here without a password" },
          { value: "provider", label: "A provider's SMTP, with user and password" },
          { value: "capture", label: "Not yet: keep it on this machine, to be looked at" },
        ],
      }),
    ),
  host: async (whose) =>
    await answered(
      text({
        message: whose === "relay" ? "Its host and port?" : "The provider's host and port?",
        placeholder: whose === "relay" ? "mail.example.com:25" : "smtp.example.com:587",
        validate: (given) => hostProblem(given ?? ""),
      }),
    ),
  tls: async (usual) =>
    await answered(
      select({ message: "TLS to it?", initialValue: usual, options: TLS.map((value) => ({ value, label: value })) }),
    ),
  user: async () => await answered(text({ message: "User?", validate: required })),
  password: async () =>
    await answered(password({ message: "Password? (kept in a file that only you can read)", validate: required })),
  from: async () =>
    await answered(
      text({
        message: "Whom is mail from, unless it says so itself?",
        placeholder: "Example <hello@example.com>",
        validate: (given) => mailboxProblem(given ?? ""),
      }),
    ),
  database: askDatabase,
  waysIn: async () =>
    await answered(
      multiselect<WayIn>({
        message: "Which ways in? (space marks, enter goes on)",
        initialValues: ["http", "smtp", "sendmail"],
        required: true,
        options: [
          { value: "http", label: "HTTP: POST /emails, with a key" },
          { value: "smtp", label: "SMTP on this machine, without a password" },
          { value: "sendmail", label: "sendmail: PHP's mail(), cron" },
          { value: "sql", label: "SQL: in your own transaction (your own PostgreSQL)" },
        ],
      }),
    ),
  async testTo(usual) {
    const given = await answered(
      text({
        message: "Where does a test mail go? (- for none)",
        initialValue: usual,
        validate: (one) => (one === "-" ? undefined : mailboxProblem(one ?? "")),
      }),
    );
    return given === "-" ? undefined : given;
  },
};

async function askDatabase(known: string | undefined): Promise<string> {
  if (known !== undefined) return known;
  const which = await answered(
    select({
      message: "Which database?",
      initialValue: EMBEDDED,
      options: [
        { value: EMBEDDED, label: "The embedded PostgreSQL: nothing to set up" },
        { value: "own", label: "A PostgreSQL of your own (15 or later): mail and orders in one transaction" },
      ],
    }),
  );
  if (which === EMBEDDED) return EMBEDDED;
  return await answered(
    text({ message: "Its address?", placeholder: "postgres://postlane@localhost/site", validate: required }),
  );
}

function postfixLabel({ hostname, host, isListening }: PostfixFound): string {
  const where = isListening ? `listens at ${host}` : `does NOT answer at ${host} now`;
  return `The Postfix of this machine (${hostname}, ${where})`;
}

function required(given: string | undefined): string | undefined {
  return given === undefined || given === "" ? "It is needed." : undefined;
}

async function answered<Value>(asked: Promise<Value | typeof CANCEL_SYMBOL>): Promise<Value> {
  const answer = await asked;
  if (!isCancel(answer)) return answer;
  cancel("Nothing was written.");
  throw new CommandFailure("canceled", "Canceled by you; nothing was written.");
}
