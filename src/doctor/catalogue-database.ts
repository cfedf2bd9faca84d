// Findings about PostgreSQL: whether it is there and the way to it is straight, its settings, what holds back its vacuum,
// its files. Pure.

import type { Catalogue } from "./catalogue-entry.ts";

export const DATABASE_FINDINGS = {
  // ---- the way to it
  database_not_running: {
    level: "problem",
    means: "the embedded database runs only while `postlane up` does: nothing is accepted and nothing goes out",
    remedy: "start `postlane up` (as a service: `systemctl start postlane`), then run the doctor again",
  },
  database_hidden: {
    level: "problem",
    means: "this user cannot reach the embedded database, so whether it runs is not known; checks of it were not made",
    remedy: "run the doctor as the user whom Postlane runs as, or as root",
  },
  database_unreachable: {
    level: "problem",
    means: "nothing is accepted and nothing goes out without the database; checks that need it were not made",
    remedy: "check DATABASE_URL, that the server runs, and that it lets this user in",
  },
  database_silent: {
    level: "problem",
    means: "the server, or the way to it, is there and does not answer: frozen, overloaded, or cut off by a firewall",
    remedy: "look at the server's machine, its disk first; `postlane explain` tells what waits",
  },
  pooler_refuses_settings: {
    level: "problem",
    means: "a connection pooler refuses the settings that Postlane's sessions begin with; Postlane cannot start",
    remedy: "let DATABASE_URL lead to PostgreSQL itself: Postlane keeps few sessions and pools them by itself",
  },
  pooler_shares_sessions: {
    level: "problem",
    means:
      "a pooler gives each transaction another session: leases, prepared statements and settings break, mail may be lost",
    remedy: "let DATABASE_URL lead to PostgreSQL itself, or to a pool in session mode that keeps startup parameters",
  },
  pooler_drops_settings: {
    level: "problem",
    means: "what is between us and the server swallows the settings of a session, among them durable commits",
    remedy: "let DATABASE_URL lead to PostgreSQL itself; with PgBouncer, remove options from ignore_startup_parameters",
  },
  pooler_in_between: {
    level: "warning",
    means: "a pooler is between us and the server: queries cannot be canceled, and its limits and timeouts hold",
    remedy: "let DATABASE_URL lead to PostgreSQL itself",
  },

  // ---- what it promises
  server_too_old: {
    level: "problem",
    means: "Postlane needs PostgreSQL 15 or later and refuses this one",
    remedy: "upgrade the server, or leave DATABASE_URL unset for the embedded one",
  },
  server_end_of_life: {
    level: "warning",
    means: "this major version of PostgreSQL gets no more corrections, not even of data loss",
    remedy: "upgrade the server to a supported major version",
  },
  server_in_recovery: {
    level: "problem",
    means: "the server is a standby and takes no writes",
    remedy:
      "point DATABASE_URL to the primary; with several hosts, add target_session_attrs=read-write where the driver knows it",
  },
  fsync_off: {
    level: "problem",
    means: "a power cut may lose or corrupt everything that was confirmed; Postlane refuses this server",
    remedy: "set fsync = on and reload; a slow disk is no reason, since Postlane commits in groups",
  },
  full_page_writes_off: {
    level: "problem",
    means: "a power cut may tear pages beyond repair; Postlane refuses this server",
    remedy: "set full_page_writes = on and reload",
  },
  synchronous_commit_off: {
    level: "note",
    means:
      "Postlane's sessions and postlane.enqueue commit durably all the same; other commits of the site may be lost",
    remedy: "set synchronous_commit = on, unless the site knows what it may lose",
  },
  replica_asynchronous: {
    level: "warning",
    means: "if the primary is lost and this replica takes its place, mail that was accepted within the gap is lost",
    remedy: "set synchronous_standby_names, or live with a gap that is documented",
  },
  synchronous_standby_missing: {
    level: "problem",
    means: "commits wait for a synchronous standby that is not there: nothing is accepted, nothing is settled",
    remedy: "bring the standby back, or take it out of synchronous_standby_names and reload",
  },
  checksums_off: {
    level: "note",
    means: "pages that the disk has spoilt are not noticed",
    remedy: "with the server stopped: pg_checksums --enable",
  },
  read_only_by_default: {
    level: "problem",
    means: "transactions of this role cannot write",
    remedy: "reset default_transaction_read_only of the role or the database",
  },
  isolation_raised: {
    level: "problem",
    means: "Postlane's statements count on READ COMMITTED; stricter levels fail with serialization errors under load",
    remedy: "run ALTER ROLE … RESET default_transaction_isolation",
  },

  // ---- what it has room for
  connections_short: {
    level: "problem",
    means: "the server lets in fewer sessions than Postlane's processes open: some cannot work",
    remedy: "raise max_connections (or the limit of the role or database), or run fewer dispatchers",
  },
  connections_tight: {
    level: "warning",
    means: "with what others have open now, there is no room for all of Postlane's sessions",
    remedy: "raise max_connections, or put the site's own sessions behind a pooler (not Postlane's)",
  },
  locks_few: {
    level: "warning",
    means: "queries of the history lock one partition for each day; with few locks they fail",
    remedy: "set max_locks_per_transaction to 64 or more, and restart",
  },
  buffers_small: {
    level: "warning",
    means: "the hot tables do not fit into shared_buffers, and each claim reads from the page cache or the disk",
    remedy: "set shared_buffers to 128MB or more, a quarter of the memory is usual, and restart",
  },
  statement_timeout_short: {
    level: "warning",
    means: "the server ends statements of ours that take long for a reason: migrations, imports, folding the books",
    remedy: "run ALTER ROLE … SET statement_timeout = 0: Postlane bounds its own statements",
  },
  idle_timeout_short: {
    level: "warning",
    means: "the server ends sessions of ours between two statements of a transaction, while a dispatcher is busy",
    remedy: "give Postlane's role an idle_in_transaction_session_timeout of 60s or more",
  },
  idle_transactions_unbounded: {
    level: "note",
    means: "a session of the site that forgets to commit holds back vacuum for as long as it lives",
    remedy: "set idle_in_transaction_session_timeout, such as 10min, for the server or the site's role",
  },
  snapshot_too_old_on: {
    level: "warning",
    means: "old_snapshot_threshold lets long reads fail, and slows down everything else",
    remedy: "set old_snapshot_threshold = -1 and restart",
  },
  jit_on: {
    level: "note",
    means: "compiling a short statement can cost more than running it, when the planner is mistaken about its cost",
    remedy: "set jit = off for Postlane's role",
  },

  // ---- its clock and its life
  database_clock_differs: {
    level: "warning",
    means: "due times are the database's: mail goes out that much early or late by the clock of this machine",
    remedy: "keep both machines' clocks synchronised (chrony, systemd-timesyncd)",
  },
  database_clock_far_off: {
    level: "problem",
    means: "scheduled mail and times to live are judged by a clock that is wrong, here or there",
    remedy: "correct the wrong clock now, then keep both synchronised",
  },
  server_restarted: {
    level: "note",
    means: "the server was started a short while ago: if nobody did that, it crashed, or its machine did",
    remedy: "read its log of that minute",
  },

  // ---- vacuum, and what holds it back
  autovacuum_off: {
    level: "problem",
    means: "a queue turns its rows over all day: without autovacuum every claim becomes slower, until nothing moves",
    remedy: "set autovacuum = on and track_counts = on, and reload",
  },
  table_autovacuum_off: {
    level: "problem",
    means: "autovacuum leaves out a table of ours, whose dead rows and indexes grow without end",
    remedy: "run ALTER TABLE … RESET (autovacuum_enabled)",
  },
  autovacuum_lazy: {
    level: "warning",
    means: "the queue's own setting is gone, and vacuum begins only when a fifth of the table is dead",
    remedy:
      "run ALTER TABLE postlane.queue SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000)",
  },
  transaction_old: {
    level: "warning",
    means: "vacuum removes nothing that was deleted since this transaction began: claims become slower",
    remedy: "end what has it open: SELECT pg_terminate_backend(pid)",
  },
  transaction_very_old: {
    level: "problem",
    means: "vacuum has removed nothing for an hour or longer, and claims have become slow",
    remedy: "end what has it open: SELECT pg_terminate_backend(pid)",
  },
  prepared_transaction_old: {
    level: "problem",
    means: "a prepared transaction that nobody finishes holds locks and holds back vacuum, also over restarts",
    remedy: "end it with COMMIT PREPARED or ROLLBACK PREPARED, by its name, in its database",
  },
  slot_holds_wal: {
    level: "warning",
    means: "a replication slot that nobody reads keeps WAL until the disk is full, which stops the server",
    remedy: "bring its reader back, or pg_drop_replication_slot; bound it with max_slot_wal_keep_size",
  },
  slot_holds_vacuum: {
    level: "warning",
    means: "a replication slot, or a standby with hot_standby_feedback, holds back vacuum",
    remedy: "bring its reader back, or pg_drop_replication_slot",
  },
  wraparound_near: {
    level: "problem",
    means: "transaction ids run out: PostgreSQL will refuse writes until the database is vacuumed",
    remedy: "find what holds back vacuum (above), then VACUUM (FREEZE) the oldest tables",
  },
  dead_rows_many: {
    level: "warning",
    means: "dead rows wait for vacuum: claims read past them",
    remedy: "look for an old transaction first; then VACUUM (VERBOSE) the table",
  },
  index_bloated: {
    level: "warning",
    means: "the indexes of a hot table are far larger than its rows need: they lose their place in memory",
    remedy: "REINDEX TABLE CONCURRENTLY, in a quiet hour",
  },
  partition_missing: {
    level: "warning",
    means: "the history of a day to come has no partition: upkeep, which makes them, has not run",
    remedy: "see that a front runs (`postlane up`); it makes them hourly, three days ahead",
  },
  default_partition_used: {
    level: "note",
    means: "events lie in the default partition, since a day's own was missing; they cannot be dropped with their day",
    remedy: "nothing, if it is the first day; else see that a front always runs",
  },

  // ---- the schema
  schema_missing: {
    level: "warning",
    means: "there are no tables of Postlane in this database yet; checks that need them were not made",
    remedy: "`postlane up` makes them",
  },
  schema_older: {
    level: "warning",
    means: "an older Postlane was here last: the next process to start changes the tables",
    remedy: "back up the database, then start this version",
  },
  schema_newer: {
    level: "problem",
    means: "a newer Postlane was here: this one refuses to start",
    remedy: "install that version or a later one",
  },
  schema_changed: {
    level: "problem",
    means: "the tables were made by another content of a migration than this version has: it refuses to start",
    remedy: "install the release that made the database, or one after it",
  },
  statistics_hidden: {
    level: "note",
    means: "this role may not see other roles' sessions, and so not who holds back vacuum, nor the replicas",
    remedy: "GRANT pg_monitor to Postlane's role",
  },
} as const satisfies Catalogue;
