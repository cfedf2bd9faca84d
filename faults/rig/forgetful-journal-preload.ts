// A planted bug, loaded into each of Postlane's processes: the journal forgets that a final dot was permitted, and says
// that it has noted it. A kill then makes duplicates, which the judge must find.

import { hookJournal } from "./journal-hook.ts";

hookJournal((text, write) => {
  const kept = text.replaceAll(/^d .*\n/gm, "");
  if (kept !== "") write(kept);
  return text.length;
});
