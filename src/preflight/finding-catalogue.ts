// All that a preflight may find: how grave it is, what it means and what to do. docs/guides/preflight.md has the same table.

/** `stop`: not as it is; `warn`: some recipients or providers will mind; `info`: to be known. */
export type Severity = "stop" | "warn" | "info";

interface CatalogueEntry {
  readonly severity: Severity;
  readonly means: string;
  readonly remedy: string;
}

export const FINDINGS = {
  no_recipients: {
    severity: "stop",
    means: "nobody would get a message",
    remedy: "import recipients into the list",
  },
  template_broken: {
    severity: "stop",
    means: "no message can be made of the template",
    remedy: "mend the template and edit the campaign",
  },
  column_missing: {
    severity: "stop",
    means: "the template names a variable that is no column of the list",
    remedy: "correct the name, or import the list with this column",
  },
  cell_empty: {
    severity: "stop",
    means: "a cell is empty that the template needs, and the message would have a hole",
    remedy: 'give a default, such as {{ first_name | default: "friend" }}, or fill the cells',
  },
  render_failed: {
    severity: "stop",
    means: "the message would be held with this error",
    remedy: "mend the template, or the recipient's data",
  },
  liquid_unfilled: {
    severity: "stop",
    means: "{{ or {% stands in the message as recipients will see it",
    remedy: "look for Liquid in the data, or within {% raw %}",
  },
  render_slow: {
    severity: "warn",
    means: "making this message takes longer than 100 ms; an ordinary one takes less than 1",
    remedy: "look for loops within loops in the template",
  },
  render_ended: {
    severity: "stop",
    means: "the messages are so slow to make that not all were looked at, and sending would be as slow",
    remedy: "make the template simpler: look for loops within loops",
  },
  subject_empty: {
    severity: "stop",
    means: "the subject is empty",
    remedy: "give the variables of the subject defaults",
  },
  subject_long: {
    severity: "warn",
    means: "the subject has more than 78 characters, and most programs cut it before",
    remedy: "shorten it",
  },
  text_missing: {
    severity: "warn",
    means: "there is no text part, or it is empty: some readers see nothing, and filters mind",
    remedy: "give the template a body.txt",
  },
  html_clipped: {
    severity: "warn",
    means: "the HTML has more than 102 KB, and Gmail clips what comes behind",
    remedy: "shorten the HTML, its styles first",
  },
  message_large: {
    severity: "warn",
    means: "the message has more than 10 MB, which many servers refuse",
    remedy: "link to large files instead of attaching them",
  },
  header_double: {
    severity: "stop",
    means: "a header field that may stand once only stands twice, for which Gmail refuses mail",
    remedy: "remove it from the template's headers",
  },
  unsubscribe_missing: {
    severity: "stop",
    means: "bulk mail without a way to unsubscribe: Gmail and Yahoo ask for one-click",
    remedy: "set public_url",
  },
  unsubscribe_waived: {
    severity: "warn",
    means: "a person has said that nobody can unsubscribe from it",
    remedy: "make sure that it is no advertisement; else create the campaign without --no-unsubscribe",
  },
  unsubscribe_not_offered: {
    severity: "info",
    means: "messages do not say how to unsubscribe: the lane is no bulk, or nothing leaves this machine",
    remedy: "send newsletters by a lane of priority bulk, with public_url set",
  },
  unsubscribe_invisible: {
    severity: "warn",
    means: "the message shows no link to unsubscribe: readers who do not find it report spam",
    remedy: "put {{ unsubscribe_url }} into the body",
  },
  one_click_missing: {
    severity: "warn",
    means:
      "the template brings a List-Unsubscribe of its own without List-Unsubscribe-Post: Gmail and Yahoo ask for one-click",
    remedy: "remove it, so that Postlane writes both, or add List-Unsubscribe-Post",
  },
  postal_address_unseen: {
    severity: "info",
    means:
      "no postal address was seen, which many countries ask of advertisements; no machine can tell one from other text",
    remedy: "put it into the HTML as <address>…</address>, which is how it is looked for",
  },
  link_broken: {
    severity: "stop",
    means: "a link leads nowhere: it is no absolute address, or of a kind that mail programs do not follow",
    remedy: "write it in full, with https://",
  },
  link_empty: {
    severity: "warn",
    means: "a link has an empty href, or # alone",
    remedy: "give it its address, or remove it",
  },
  link_private: {
    severity: "stop",
    means: "a link or an image is on a host that recipients cannot reach",
    remedy: "put the public host there",
  },
  link_insecure: {
    severity: "warn",
    means: "a link goes by http, and whoever is on the way can read and change what it leads to",
    remedy: "write https://",
  },
  image_insecure: {
    severity: "warn",
    means: "an image does not come by https: many programs do not show it",
    remedy: "put it on a server with https, or attach it and name it by cid:",
  },
  image_missing: {
    severity: "warn",
    means: "an image is named by cid:, and no attachment has this content id",
    remedy: "attach it with this content_id",
  },
  from_invalid: {
    severity: "stop",
    means: "the domain of From takes no answers from the world",
    remedy: "set `from` in the template or the configuration to a mailbox of your domain",
  },
  from_unsigned: {
    severity: "warn",
    means: "no DKIM key signs mail from this domain, which Gmail, Yahoo and Outlook ask of bulk mail",
    remedy: "`postlane domain add`, unless your relay signs",
  },
  from_unaligned: {
    severity: "warn",
    means: "neither a DKIM signature nor the return path is of the domain of From, so DMARC fails",
    remedy: "`postlane domain add`, or a return path within the domain of From",
  },
  dns_unmet: {
    severity: "stop",
    means: "the DNS does not say what big providers ask of the domain of From",
    remedy: "`postlane domain check` shows the records to publish",
  },
  dns_unanswered: {
    severity: "warn",
    means: "the DNS gave no answer, so nothing is known of this",
    remedy: "try again, or see `resolvers`",
  },
  dns_advice: {
    severity: "info",
    means: "the DNS could say more of the domain of From",
    remedy: "`postlane domain check` shows what",
  },
  rows_rejected: {
    severity: "warn",
    means: "rows of the list that cannot be mailed, and get nothing",
    remedy: "correct them and import the file again",
  },
  rows_doubled: {
    severity: "info",
    means: "rows whose address the list had already; each gets one message",
    remedy: "nothing: it is counted for the balance sheet",
  },
  suppressed: {
    severity: "info",
    means: "recipients who must not get it, and will not",
    remedy: "nothing; `postlane suppression list` shows why",
  },
  outlets_shared: {
    severity: "info",
    means: "another lane uses the same outlets: bulk gives way, so transactional mail goes first",
    remedy: "give this lane a `pace`, or outlets of its own, where that is not enough",
  },
} as const satisfies Readonly<Record<string, CatalogueEntry>>;

export type FindingCode = keyof typeof FINDINGS;
