// A database that must not be used: an old primary that came back after another one had taken over. Not for the time being,
// that is: whoever gets this waits and looks again.

export class GuardRefused extends Error {
  readonly code = "database_superseded";

  constructor(seenTimeline: number, knownTimeline: number) {
    super(
      `The database server is an old primary that came back: it is on timeline ${seenTimeline}, and this machine has seen ` +
        `timeline ${knownTimeline} of the same database. Nothing is read from it or written to it. Make DATABASE_URL lead ` +
        "to the server that took over; or, if this one is meant, run `postlane guard confirm`.",
    );
    this.name = "GuardRefused";
  }
}
