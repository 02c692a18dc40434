/** The signals and the outputs that the process gives to a command. */

export type CommandContext = {
  /** Aborted by the first SIGINT or SIGTERM. */
  stop: AbortSignal;
  /** Aborted by the second SIGINT or SIGTERM. */
  stopNow: AbortSignal;
  /** Aborted when standard output is closed by its reader. */
  outputClosed: AbortSignal;
  /** Whether standard output is a terminal. If it is not, the output may be stored, for example in a log. */
  terminal: boolean;
  /** Whether standard error is a terminal. */
  errorTerminal: boolean;
  /** How many characters a line of the terminal has. Undefined if standard output is not a terminal. */
  width: number | undefined;
  /** Reads standard input to its end. */
  readInput(): Promise<string>;
  /** Writes a line to standard output. */
  print(line: string): void;
  /** Writes progress or errors to standard error, without adding a line end. */
  report(text: string): void;
};
