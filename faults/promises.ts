// The promises of the contract (docs/concepts/contract.md) that faults are tried against, in words for
// docs/reference/guarantees.md. Where one is weaker than a reader would hope, its second sentence says so.

export const PROMISES = {
  durable: {
    title: "Accepted means durable",
    text:
      "HTTP 2xx, SMTP 250 and SQL COMMIT are given after the commit that PostgreSQL has synced to its disk. It is the " +
      "disk and the replication of that server which keep the word: a disk that lies loses mail, and so does a failover " +
      "to an asynchronous replica, at most what the replica lagged behind.",
  },
  one_state: {
    title: "Every accepted message is in exactly one state, and the books balance",
    text:
      "The balance sheet of a lane adds up to what was accepted, at every moment. `sent` is the word of the next hop: what " +
      "it does with the message afterwards, Postlane learns only where the relay reports back.",
  },
  no_duplicate: {
    title: "No duplicate from Postlane's own crash, unless a lane asks for it",
    text:
      "After the death of a process the journal says which messages may have arrived, and no others are unknown. When " +
      "the machine itself dies, the journal may have died with it: then everything that was claimed and not settled is " +
      "unknown: of each dispatcher at most `claim_ahead_max`, the open window, and what was answered since its last commit.",
  },
  unknown: {
    title: "What SMTP cannot tell is unknown, counted, and treated as the lane says",
    text:
      "`hold` never sends a second time. `resend` may, once for each attempt that is counted as unknown: that is what " +
      "the word means, and SMTP leaves no third way (RFC 5321 section 6.1, RFC 1047).",
  },
  lease: {
    title: "Under a lost lease nothing is begun and nothing is written",
    text:
      "A dispatcher that was paused, cut off or taken for dead writes no final dot past its deadline, and the database " +
      "refuses its late results. What was in flight at that moment may still be answered: it becomes an event, and " +
      "settles what is still unknown.",
  },
  apart: {
    title: "A message that cannot be processed is set aside, alone; nothing stops in silence",
    text:
      "The lane goes on, other destinations and lanes do not notice. A template is ended by its own limits within a second; " +
      "a merge that hangs elsewhere holds its dispatcher for 30 s, four times at most, before its message is held.",
  },
  guarded: {
    title: "A restored, cloned or rewound database does not send again",
    text:
      "Postlane starts with lanes paused, says what it would send again, and waits for a person's word. It knows by what " +
      "its data directory remembers of the database: where that was restored together with the database, a gap between " +
      "heartbeats is all it has, and one below an hour goes unnoticed.",
  },
} as const;

export type PromiseName = keyof typeof PROMISES;
