// A real PgBouncer before the server of a test, on a free port of the loopback, as the user who may enter the server's
// private socket folder. Ends with the test.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";

export interface PoolerOptions {
  /** As DATABASE_URL, by a socket folder. */
  readonly databaseUrl: string;
  readonly mode: "session" | "transaction";
  /** Lines of its configuration beside these. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** The address of the same database through the pooler. */
export async function startPgBouncer(
  t: TestContext,
  { databaseUrl, mode, settings = {} }: PoolerOptions,
): Promise<string> {
  const server = new URL(databaseUrl.replace("@/", "@localhost/"));
  const socketDir = server.searchParams.get("host")!;
  const database = server.pathname.slice(1);
  const { uid, gid } = statSync(socketDir);
  const folder = mkdtempSync(path.join(tmpdir(), "postlane-pgbouncer-"));
  chownSync(folder, uid, gid);
  const port = await freePort();
  const lines = {
    listen_addr: "127.0.0.1",
    listen_port: String(port),
    unix_socket_dir: "",
    auth_type: "any",
    pool_mode: mode,
    max_client_conn: "50",
    ...settings,
  };
  const file = path.join(folder, "pgbouncer.ini");
  const target = `host=${socketDir} port=${server.searchParams.get("port")} dbname=${database} user=${server.username}`;
  const text = Object.entries(lines).map(([name, value]) => `${name} = ${value}`);
  writeFileSync(file, ["[databases]", `${database} = ${target}`, "[pgbouncer]", ...text, ""].join("\n"), {
    mode: 0o644,
  });
  const child = spawn("/usr/sbin/pgbouncer", [file], { uid, gid, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  t.after(async () => {
    if (child.exitCode === null) {
      child.kill("SIGKILL");
      await once(child, "close");
    }
    rmSync(folder, { recursive: true, force: true });
  });
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      said += chunk;
      if (/process up/.test(said)) resolve();
    });
    child.once("close", () => reject(new Error(`PgBouncer ended: ${said}`)));
  });
  return `postgresql://${server.username}@127.0.0.1:${port}/${database}`;
}

async function freePort(): Promise<number> {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as net.AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}
