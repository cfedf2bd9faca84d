// Settings of the embedded server, for a small machine: two cores, 2 to 4 GB. They are given on the command line, so
// that what runs is what stands here, whatever a file in the data directory says. Never a word about fsync,
// full_page_writes or synchronous_commit: their defaults are on, and stay on.

import type { EmbeddedPlace } from "./embedded-place.ts";
import { SOCKET_PORT } from "./embedded-place.ts";

export type ServerSettings = Readonly<Record<string, string>>;

export function settingsFor(place: EmbeddedPlace, socketDir: string): ServerSettings {
  return {
    // Reached by the private socket only. PostgreSQL splits this list at commas: quoted, a path may hold one.
    listen_addresses: "",
    port: String(SOCKET_PORT),
    unix_socket_directories: `"${socketDir.replaceAll('"', '""')}"`,
    unix_socket_permissions: "0700",
    max_connections: "100",

    // The hot tables and their indexes fit; the rest is the page cache's.
    shared_buffers: "256MB",
    effective_cache_size: "1GB",
    work_mem: "16MB",
    maintenance_work_mem: "128MB",
    random_page_cost: "1.1",
    // Statements are short: compiling one costs more than it runs.
    jit: "off",

    // Checkpoints by time and not by volume: each makes the next write of every page a full page image.
    max_wal_size: "4GB",
    min_wal_size: "256MB",
    checkpoint_timeout: "15min",
    // pglz: the binaries are built without lz4.
    wal_compression: "on",

    // A queue turns its rows over all day: look often, begin early, and do not dawdle.
    autovacuum: "on",
    autovacuum_naptime: "15s",
    autovacuum_vacuum_scale_factor: "0.05",
    autovacuum_analyze_scale_factor: "0.05",
    autovacuum_vacuum_cost_limit: "1000",

    timezone: "UTC",
    log_timezone: "UTC",
    // A new file for every 10 MB; each start deletes the oldest.
    logging_collector: "on",
    log_directory: place.logFolder,
    log_filename: "postgres-%Y%m%d-%H%M%S.log",
    log_rotation_size: "10MB",
    log_rotation_age: "0",
    log_line_prefix: "%m [%p] %a ",
    // Addresses and content stay out of the log: no statements, no key values.
    log_min_error_statement: "panic",
    log_error_verbosity: "terse",
  };
}

export function settingArguments(settings: ServerSettings): readonly string[] {
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}
