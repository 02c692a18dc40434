/** The signals and the outputs that the process gives to a command. */

export type CommandContext = {
  /** Aborted by the first SIGINT or SIGTERM. */
  stop: AbortSignal;
  /** Aborted by the second SIGINT or SIGTERM. */
  stopNow: AbortSignal;
  /** Aborted when standard output is closed by its reader. */
  outputClosed: AbortSignal;
  /** Whether standard output is a terminal; otherwise it may be stored, as a log is. */
  terminal: boolean;
  /** Writes a line to standard output. */
  print(line: string): void;
  /** Writes to standard error, without adding a line end: progress and errors. */
  report(text: string): void;
};
