// The rights of a key of which nothing was said: as `postlane key create --name site` makes it.

import type { KeyRights } from "../../src/senders/key-store.ts";

export const SITE_RIGHTS: KeyRights = {
  name: "site",
  scope: "send",
  lanes: null,
  from_domains: null,
  max_rate: null,
  gets_notices: true,
  is_deduplicated: true,
};
