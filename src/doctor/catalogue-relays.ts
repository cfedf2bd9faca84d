// Findings about relays: whether each host answers as the configuration wants it, its certificate, its gauge. Pure.

import type { Catalogue } from "./catalogue-entry.ts";

export const RELAY_FINDINGS = {
  relay_unresolved: {
    level: "problem",
    means: "the name of this host has no address: no mail goes out by it",
    remedy: "correct `hosts` of the outlet, or the DNS of this machine",
  },
  relay_unreachable: {
    level: "problem",
    means: "nobody answers there: no mail goes out by this host",
    remedy: "start the relay, or let connections through; providers often close port 25, and want 587",
  },
  relay_silent: {
    level: "problem",
    means: "the host takes a connection and says nothing in time: overloaded, or something in between swallows it",
    remedy: "look at the relay's log and load",
  },
  relay_refuses: {
    level: "problem",
    means: "the host greets with a refusal",
    remedy: "its words say why: often this machine's address is not allowed there",
  },
  relay_tls_not_offered: {
    level: "problem",
    means: "the outlet requires TLS and the host offers none: no mail goes out by it",
    remedy: "set another port or `tls`, or give the relay a certificate",
  },
  relay_tls_failed: {
    level: "problem",
    means: "TLS is offered and cannot be agreed on",
    remedy: "the relay speaks TLS older than 1.2, or the port wants the other kind of TLS (implicit or STARTTLS)",
  },
  relay_clear_text: {
    level: "warning",
    means: "mail to this host goes over the network in clear text, for everybody on the way to read",
    remedy: "let the relay offer STARTTLS, then set `tls: required`",
  },
  relay_certificate_refused: {
    level: "problem",
    means: "the outlet requires a certificate that verifies, and this one does not: no mail goes out by this host",
    remedy: "renew it, correct the name in `hosts`, or name its authority by `ca_file`",
  },
  relay_certificate_unverified: {
    level: "note",
    means:
      "the certificate does not verify, which `tls: opportunistic` does not mind: who sits in between can read all",
    remedy: "set `ca_file` and `tls: required`, where the relay is not on this machine",
  },
  relay_certificate_expires: {
    level: "warning",
    means: "the certificate ends within two weeks, and is usually renewed before",
    remedy: "see that its renewal works, and that the relay loads the new one",
  },
  relay_auth_not_offered: {
    level: "problem",
    means: "the outlet has credentials and the host offers no way to give them: it will refuse to relay",
    remedy: "use the port for submission (587 or 465), or remove `auth`",
  },
  relay_auth_in_clear: {
    level: "problem",
    means: "credentials go out only over TLS or to loopback, and here there is no TLS: they are never given",
    remedy: "set `tls: required` or `implicit` on the outlet, and the port that offers it",
  },
  relay_slow_to_talk: {
    level: "note",
    means: "the host does not offer PIPELINING: each message takes several round trips",
    remedy: "nothing, if the rate is enough; a firewall that inspects SMTP may hide it",
  },

  // ---- gauges
  relay_unmeasured: {
    level: "note",
    means: "the relay's queue is not measured: the governor goes by its replies alone",
    remedy: "give the outlet a `gauge`, where the relay is yours",
  },
  gauge_missing: {
    level: "warning",
    means: "the outlet has a gauge and no agent has ever read it",
    remedy: "`postlane agent --outlet NAME` on the relay's machine; `postlane up` runs it for relays on its own",
  },
  gauge_silent: {
    level: "warning",
    means: "the agent beside the relay is gone: the governor goes by replies alone, and nothing comes home",
    remedy: "start it again, and read its log",
  },
  gauge_command_failed: {
    level: "problem",
    means: "the command that measures the relay does not give a reading",
    remedy: "run it by hand as the user whom the agent runs as",
  },
  postfix_instance_wrong: {
    level: "problem",
    means: "the instance of Postfix is not as Postlane needs it",
    remedy: "`postlane postfix check` shows all of it",
  },
} as const satisfies Catalogue;
