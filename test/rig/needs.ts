// Says whether a Debian package that a test leans on is installed. A test without its package is skipped loudly, so
// that nobody takes a green run for a proof; with POSTLANE_TEST_REQUIRE_ALL=1 (the continuous integration) it fails.
// Never installs anything, and never looks further than at a few well-known paths.

import { accessSync, constants } from "node:fs";
import type { TestContext } from "node:test";

const PROGRAMS = {
  postfix: { debianPackage: "postfix", paths: ["/usr/sbin/postfix"] },
  "postgresql-15": { debianPackage: "postgresql-15", paths: ["/usr/lib/postgresql/15/bin/postgres"] },
  exim4: { debianPackage: "exim4-daemon-light", paths: ["/usr/sbin/exim4"] },
  php: { debianPackage: "php-cli", paths: ["/usr/bin/php"] },
  "git-send-email": { debianPackage: "git-email", paths: ["/usr/lib/git-core/git-send-email"] },
  curl: { debianPackage: "curl", paths: ["/usr/bin/curl"] },
  // Modules of interpreters, by a folder that the package brings.
  psycopg2: { debianPackage: "python3-psycopg2", paths: ["/usr/lib/python3/dist-packages/psycopg2"] },
  "php-pgsql": {
    debianPackage: "php-cli php-pgsql",
    paths: ["/usr/share/php8.2-pgsql", "/usr/share/php8.4-pgsql"],
  },
  "dbd-pg": {
    debianPackage: "libdbd-pg-perl",
    paths: ["x86_64", "aarch64"].flatMap((cpu) =>
      ["5.36", "5.40"].map((perl) => `/usr/lib/${cpu}-linux-gnu/perl5/${perl}/auto/DBD/Pg`),
    ),
  },
  "opendkim-testmsg": { debianPackage: "opendkim-tools", paths: ["/usr/sbin/opendkim-testmsg"] },
  dkimpy: { debianPackage: "python3-dkim", paths: ["/usr/lib/python3/dist-packages/dkim"] },
  openssl: { debianPackage: "openssl", paths: ["/usr/bin/openssl"] },
  pgbouncer: { debianPackage: "pgbouncer", paths: ["/usr/sbin/pgbouncer"] },
  cc: { debianPackage: "gcc", paths: ["/usr/bin/cc", "/usr/local/bin/cc"] },
  systemd: { debianPackage: "systemd", paths: ["/usr/bin/systemd-analyze"] },
  chromium: { debianPackage: "chromium", paths: ["/usr/bin/chromium"] },
  swaks: { debianPackage: "swaks", paths: ["/usr/bin/swaks"] },
  python3: { debianPackage: "python3", paths: ["/usr/bin/python3"] },
  // Debian ships Postfix's test programs in its main package.
  "smtp-sink": { debianPackage: "postfix", paths: ["/usr/sbin/smtp-sink"] },
} as const;

type Need = keyof typeof PROGRAMS;

export function needs(t: TestContext, what: Need): boolean {
  const { debianPackage, paths } = PROGRAMS[what];
  if (paths.some(isExecutable)) return true;
  const line = `SKIPPED: needs Debian package ${debianPackage}: apt-get install ${debianPackage}`;
  if (process.env["POSTLANE_TEST_REQUIRE_ALL"] === "1") throw new Error(`${t.name}: ${line}`);
  process.stderr.write(`${line} (${t.name})\n`);
  t.skip(line);
  return false;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
