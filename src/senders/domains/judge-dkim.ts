// What the DNS says of our DKIM keys: each record beside the key that it should be. Pure.

import { dkimNameOf, dkimRecordOf, judgeDkimRecord, type PublishedKey } from "./dkim-record.ts";
import type { DnsAnswer } from "./dns-answer.ts";
import { notAsked, okay, RULES, type Finding } from "./finding.ts";
import type { KeyState } from "./sender-domains.ts";

export interface CheckedKey extends PublishedKey {
  readonly state: KeyState;
  /** It is retired for so long that no mail is under way any more. */
  readonly isRemovable: boolean;
}

export interface KeyAnswer {
  readonly key: CheckedKey;
  readonly answer: DnsAnswer<string>;
}

export function judgeDkim(domain: string, answers: readonly KeyAnswer[]): readonly Finding[] {
  if (!answers.some(({ key }) => key.state !== "retired")) return [noKey(domain)];
  return answers.map(({ key, answer }) => {
    const isRequired = needsRecord(key);
    if (answer.kind === "failed") return notAsked("dkim", dkimNameOf(key), answer.reason, isRequired);
    return key.isRemovable ? judgeRemovable(key, answer.records) : judgeKey(key, answer.records, isRequired);
  });
}

/** Those whose record is there. */
export function seenKeys(answers: readonly KeyAnswer[]): readonly CheckedKey[] {
  return answers
    .filter(({ key, answer }) => answer.kind === "answered" && judgeDkimRecord(key, answer.records).kind === "ours")
    .map(({ key }) => key);
}

/** Those under whose name there is nothing. */
export function absentKeys(answers: readonly KeyAnswer[]): readonly CheckedKey[] {
  return answers
    .filter(({ answer }) => answer.kind === "answered" && answer.records.length === 0)
    .map(({ key }) => key);
}

/** A waiting Ed25519 key may go on waiting: every provider reads RSA, and not every DNS form takes both. */
function needsRecord({ state, algorithm }: CheckedKey): boolean {
  return state === "active" || (state === "new" && algorithm === "rsa");
}

function judgeKey(key: CheckedKey, texts: readonly string[], isRequired: boolean): Finding {
  const name = dkimNameOf(key);
  const judged = judgeDkimRecord(key, texts);
  const publish = [dkimRecordOf(key)];
  const base = { check: "dkim", name, is_required: isRequired, rule: RULES.dkim, publish } as const;
  switch (judged.kind) {
    case "ours":
      if (!judged.isTesting)
        return { ...okay("dkim", name, `is our ${key.algorithm} key, ${SAID[key.state]}`), is_required: isRequired };
      return {
        ...base,
        status: "advice",
        found: "is our key, but t=y says that it is only a test: publish it without",
      };
    case "missing":
      return {
        ...base,
        status: "missing",
        found: `the record of our ${key.algorithm} key, ${SAID[key.state]}, is not there`,
      };
    case "wrong":
      return {
        ...base,
        status: "wrong",
        found: `is not our ${key.algorithm} key, ${SAID[key.state]}: ${judged.problem}`,
      };
  }
}

const SAID: Readonly<Record<KeyState, string>> = {
  new: "which does not sign yet",
  active: "which signs",
  retired: "retired, for mail that is under way",
};

function judgeRemovable(key: CheckedKey, texts: readonly string[]): Finding {
  const name = dkimNameOf(key);
  const base = {
    ...okay("dkim", name, "is gone, as it may be: the key is retired for long enough"),
    is_required: false,
  };
  return texts.length === 0
    ? base
    : { ...base, status: "advice", found: "may be removed: the key is retired for long enough" };
}

function noKey(domain: string): Finding {
  return {
    check: "dkim",
    name: `_domainkey.${domain}`,
    status: "missing",
    is_required: true,
    found: `no key signs mail from ${domain}: \`postlane domain add ${domain}\` makes a pair, unless your relay signs`,
    rule: RULES.dkim,
    publish: [],
  };
}
