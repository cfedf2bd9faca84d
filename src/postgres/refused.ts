// What PostgreSQL we refuse to run on, or cannot: each with a stable code and a message that says what to do.

type PostgresRefusal =
  | "embedded_missing"
  | "embedded_major_version"
  | "embedded_not_a_cluster"
  | "embedded_lost"
  | "embedded_foreign_owner"
  | "embedded_out_of_reach"
  | "embedded_socket_path"
  | "embedded_start_failed"
  | "embedded_stop_failed"
  | "database_not_running"
  | "database_unreachable"
  | "database_options_lost";

export class PostgresRefused extends Error {
  readonly code: PostgresRefusal;

  constructor(code: PostgresRefusal, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "PostgresRefused";
    this.code = code;
  }
}
