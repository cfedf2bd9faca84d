import assert from "node:assert/strict";
import { test } from "node:test";
import { readAnswers } from "./ask-postfix.ts";

const OURS = `queue_directory = /var/spool/postfix-bulk
myhostname = mail.example.com
syslog_name = postfix-bulk
maillog_file = /var/log/postfix-bulk.log
relayhost =
default_transport = smtp
smtpd_client_port_logging = yes
virtual_mailbox_domains = returns.example.com
virtual_mailbox_base = /var/lib/postlane/returns-bulk
virtual_mailbox_maps = static:returns/
`;

test("an instance of ours tells all that an agent has to know", () => {
  assert.deepEqual(readAnswers(OURS, "Returns.example.com"), {
    queueDirectory: "/var/spool/postfix-bulk",
    myHostname: "mail.example.com",
    syslogName: "postfix-bulk",
    logFile: "/var/log/postfix-bulk.log",
    returnsMaildir: "/var/lib/postlane/returns-bulk/returns",
    logsClientPorts: true,
  });
});

test("one that relays says whereto, and one that logs to syslog has no log file", () => {
  const answers = readAnswers("queue_directory = /q\nrelayhost = [provider.example]:587\nmaillog_file =\n");
  assert.equal(answers.nextHop, "[provider.example]:587");
  assert.equal(answers.logFile, undefined);
  assert.equal(readAnswers("default_transport = smtp:[a.example]\n").nextHop, "[a.example]");
});

test("a Maildir of another domain, or of one mailbox each, is not ours to empty", () => {
  assert.equal(readAnswers(OURS, "other.example.com").returnsMaildir, undefined);
  assert.equal(readAnswers(OURS).returnsMaildir, undefined);
  const perUser = OURS.replace("static:returns/", "hash:/etc/postfix/vmailbox");
  assert.equal(readAnswers(perUser, "returns.example.com").returnsMaildir, undefined);
  const mbox = OURS.replace("static:returns/", "static:returns");
  assert.equal(readAnswers(mbox, "returns.example.com").returnsMaildir, undefined);
});
