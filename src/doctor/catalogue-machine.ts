// Findings about this machine: its limits, its clock, its disks, its files, the Node that runs us. Pure.

import type { Catalogue } from "./catalogue-entry.ts";

export const MACHINE_FINDINGS = {
  // ---- limits
  open_files_few: {
    level: "problem",
    means: "a process cannot open all the connections that the configuration allows: it refuses mail, or fails",
    remedy: "raise the limit (LimitNOFILE= in the unit, ulimit -n in a shell), or lower the numbers of connections",
  },
  ports_few: {
    level: "warning",
    means: "connections to one relay may run out of local ports, each of which rests for a minute after its end",
    remedy: "widen net.ipv4.ip_local_port_range, or let connections live longer (messages_per_connection)",
  },
  threads_few: {
    level: "warning",
    means: "processes and threads of Postlane may not all be started",
    remedy: "raise TasksMax= of the unit, or pids.max of the container",
  },
  memory_small: {
    level: "warning",
    means: "there is less memory than Postlane's processes take under load: the kernel kills one, usually the database",
    remedy: "give the machine or the container more memory, or run fewer dispatchers",
  },
  overcommit: {
    level: "note",
    means:
      "the kernel promises more memory than there is, and ends a process when that fails: it may be the database's",
    remedy: "nothing on a machine with room; PostgreSQL advises vm.overcommit_memory = 2 on its own",
  },
  signing_threads_few: {
    level: "note",
    means: "DKIM signatures are made on fewer threads than there are cores",
    remedy: "set UV_THREADPOOL_SIZE to the number of cores, in the environment of `postlane up`",
  },

  // ---- disks
  disk_full: {
    level: "problem",
    means: "less is free than `queue.min_free_disk`: no lane takes mail, and the database stops when nothing is left",
    remedy: "make room; `postlane status` and the log say when mail is taken again",
  },
  disk_filling: {
    level: "warning",
    means: "little is free on the disk of the data directory: journal, capture and the embedded database need room",
    remedy: "make room, or move data_dir",
  },
  inodes_few: {
    level: "warning",
    means: "the file system can hold few more files, whatever its room",
    remedy: "remove what is not needed; captured mail and a spool have a file for each message",
  },
  data_dir_not_disk: {
    level: "problem",
    means: "the data directory is in memory: the journal and an embedded database are gone with the machine",
    remedy: "set data_dir to a folder on a local disk",
  },
  data_dir_remote: {
    level: "warning",
    means: "the data directory is on another machine: the journal must be local to be believed, and locks may not hold",
    remedy: "set data_dir to a folder on a local disk",
  },

  // ---- clocks
  clock_unsynchronised: {
    level: "warning",
    means: "a time service runs and has not set the clock: signatures, TLS and schedules go wrong as it drifts",
    remedy: "look at `timedatectl timesync-status`, or `chronyc tracking`",
  },
  clock_service_unknown: {
    level: "note",
    means: "no time service was seen here; a container or a virtual machine may get its time from its host",
    remedy: "see that something keeps the clock (chrony, systemd-timesyncd, the host)",
  },
  time_zones_old: {
    level: "note",
    means: "local times of zones that changed their rules since are an hour off",
    remedy: "install a newer Node",
  },

  // ---- Node
  node_too_old: {
    level: "problem",
    means: "Postlane needs Node 20.19 or later",
    remedy: "install Node 24",
  },
  node_end_of_life: {
    level: "warning",
    means: "this line of Node gets no more security fixes",
    remedy: "install Node 24",
  },

  // ---- files
  data_dir_missing: {
    level: "note",
    means: "there is no data directory yet",
    remedy: "`postlane up` makes it; if it should be there, see data_dir and the folder that you are in",
  },
  data_dir_unreadable: {
    level: "warning",
    means: "this user may not look into the data directory, and not all could be checked",
    remedy: "run the doctor as the user whom Postlane runs as, or as root",
  },
  data_dir_foreign: {
    level: "problem",
    means: "the data directory belongs to another user: Postlane, run as this one, cannot write its journal",
    remedy: "run it as the owner, or give the folder to this user",
  },
  data_dir_open: {
    level: "warning",
    means: "other users of this machine may look into the data directory, where mail and keys are",
    remedy: "chmod 700",
  },
  secret_readable: {
    level: "warning",
    means: "other users of this machine may read a secret",
    remedy: "chmod o= the file; change the secret, if they are not to be trusted",
  },
  own_certificate_unreadable: {
    level: "problem",
    means: "the SMTP door has no certificate to show: it does not open its ports with TLS",
    remedy: "correct `tls.cert_file` and `tls.key_file`, and let Postlane's user read both",
  },
  own_certificate_expired: {
    level: "problem",
    means: "clients refuse the SMTP door's certificate",
    remedy: "renew it",
  },
  own_certificate_expires: {
    level: "warning",
    means: "the SMTP door's certificate ends within two weeks",
    remedy: "see that its renewal works",
  },
  own_key_mismatch: {
    level: "problem",
    means: "certificate and key of the SMTP door do not belong together: no client gets through with TLS",
    remedy: "name the two files of one pair",
  },
} as const satisfies Catalogue;
