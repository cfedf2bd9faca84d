// Findings about the engine: processes that are missing, what waits and for whom, what the configuration leaves out. Pure.

import type { Catalogue } from "./catalogue-entry.ts";

export const ENGINE_FINDINGS = {
  // ---- processes
  engine_down: {
    level: "problem",
    means: "no process of Postlane works on this database: what is accepted by SQL waits, and other doors are closed",
    remedy: "start `postlane up` (as a service: `systemctl start postlane`)",
  },
  front_missing: {
    level: "problem",
    means: "no front runs: doors are closed, nothing comes home, partitions are not made, nobody is rescued",
    remedy: "start `postlane up`, or `postlane front` on one machine",
  },
  lane_without_dispatcher: {
    level: "problem",
    means: "no dispatcher serves this lane: its mail waits",
    remedy: "start `postlane up`, or `postlane dispatcher --lane NAME`, and read its log if it does not stay",
  },
  lane_unserved: {
    level: "problem",
    means: "mail waits in a lane that the configuration does not have, so nobody will serve it",
    remedy: "write the lane into postlane.yaml again, or cancel its messages",
  },
  dispatcher_gone: {
    level: "warning",
    means: "a dispatcher died and is not rescued yet; what it had claimed waits for that",
    remedy: "nothing for a minute; then see that a front runs, on the machine that has its journal at best",
  },

  // ---- what stands still
  lane_stuck: {
    level: "problem",
    means: "mail is due, dispatchers are alive, and nothing was settled for the time of no_progress_alarm",
    remedy: "`postlane explain` names what limits it",
  },
  lane_full: {
    level: "problem",
    means: "the lane takes no more mail: the site is refused",
    remedy: "let mail go out, or raise the limit under `queue`",
  },
  guard_holds: {
    level: "problem",
    means: "the database was restored, cloned or set back, and what it holds may have been sent already",
    remedy: "`postlane guard status` says what would go out again; `postlane guard confirm` lets it go",
  },
  lane_paused: {
    level: "warning",
    means: "a person has paused the lane, and its mail waits",
    remedy: "`postlane lane resume NAME`, if that is forgotten",
  },
  outlet_paused: {
    level: "warning",
    means: "a person has paused the outlet",
    remedy: "`postlane outlet resume NAME`, if that is forgotten",
  },
  destination_paused: {
    level: "warning",
    means: "a person has paused the destination, and its mail waits",
    remedy: "`postlane destination resume NAME`, if that is forgotten",
  },
  paused_by_rule: {
    level: "warning",
    means: "a rule has stopped it, after refusals of policy",
    remedy: "`postlane explain` says which refusals; mend their cause first, then resume",
  },
  canary_failed: {
    level: "warning",
    means: "a campaign is paused, since too much of its canary failed",
    remedy: "`postlane campaign status NAME` says what failed; then resume or cancel it",
  },
  campaign_paused: {
    level: "note",
    means: "a person has paused the campaign",
    remedy: "`postlane campaign resume NAME`, if that is forgotten",
  },
  commits_stuck: {
    level: "problem",
    means: "commits wait for the database's disk",
    remedy: "look at that disk (`postlane doctor disk` on its machine) and who else writes to it",
  },

  // ---- what waits for a person
  unknown_waiting: {
    level: "warning",
    means: "nobody knows whether these messages went out, and policy hold sends none again by itself",
    remedy: "`postlane unknown list`, then accept or resend them",
  },
  held_waiting: {
    level: "warning",
    means: "messages are held by a person or by an error of theirs, and wait",
    remedy: "`postlane lane report NAME` or `postlane message show ID` says why; release or cancel them",
  },
  unaccounted_waiting: {
    level: "warning",
    means: "a relay took messages and never said what became of them",
    remedy: "`postlane unaccounted list`",
  },
  returns_unjudged: {
    level: "warning",
    means: "failure notices wait to be read: states are older than they could be",
    remedy: "see that a front runs, and its log",
  },
  books_wrong: {
    level: "problem",
    means: "a state holds fewer messages than none: the books do not add up",
    remedy: "`postlane status --count`, keep the output, and report it",
  },

  // ---- the configuration
  from_default: {
    level: "warning",
    means: "mail without a sender of its own comes from this machine's name, which other servers refuse",
    remedy: "set `from` to a mailbox of your domain",
  },
  from_unsigned: {
    level: "note",
    means: "no DKIM key here signs mail of the domain of `from`, which Gmail, Yahoo and Outlook ask for",
    remedy: "`postlane domain add`, unless your relay signs; `postlane domain check` asks the DNS",
  },
  public_url_missing: {
    level: "warning",
    means: "bulk mail goes out without a way to unsubscribe, which Gmail and Yahoo ask for",
    remedy: "set public_url to where the world reaches the front",
  },
  returns_domain_missing: {
    level: "warning",
    means: "failure notices go to the senders of mail, not home: nothing becomes bounced by them",
    remedy: "set returns.domain; docs/guides/returns-door.md or docs/guides/postfix.md says how",
  },
} as const satisfies Catalogue;
