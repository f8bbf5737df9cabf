/** Where commands print. Results go to standard output, errors and advice to standard error. */
import { isatty } from 'node:tty';
import { redact } from '../util/secrets.ts';
import { logOutput } from './log-output.ts';
import type { LostLine } from './log-output.ts';
import { outputFault, writeAll } from './write-all.ts';

export interface Terminal {
  /**
   * Prints a result, unchanged unless the output is a terminal. Throws if it cannot be printed: a lost result is a failure of the
   * command.
   */
  out(text: string): void;
  /** Prints a line on standard error, redacted, if that is possible. */
  err(line: string): void;
  /** Shows this line below all others until the next call; undefined removes it. Only if standard error is a terminal. */
  status(line: string | undefined): void;
  /**
   * Prints log lines to standard output, or to standard error, if that is possible. `lost` makes the line that reports lost
   * lines.
   */
  logLine(stderr: boolean, lost: LostLine): (line: string) => void;
  readonly stdoutIsTty: boolean;
  readonly stderrIsTty: boolean;
  /** Columns of the terminal at standard error; 80 if unknown. */
  readonly columns: number;
}

const STDOUT = 1;
const STDERR = 2;

/** The terminal of this process. */
export const processTerminal: Terminal = {
  out: (text) => {
    clearStatus();
    try {
      writeAll(STDOUT, isatty(STDOUT) ? withoutControls(text) : text);
    } catch (error) {
      throw outputFault(error);
    }
  },
  err: (line) => {
    clearStatus();
    try {
      writeAll(STDERR, `${withoutControls(redact(line))}\n`);
    } catch {
      // No output is left: only the exit code reports it.
    }
  },
  status: (line) => {
    clearStatus();
    if (line === undefined || !isatty(STDERR)) return;
    logOutput(STDERR).put(line);
    statusShown = true;
  },
  logLine: (stderr, lost) => {
    const output = logOutput(stderr ? STDERR : STDOUT);
    return (line) => {
      clearStatus();
      output.write(line, lost);
    };
  },
  get stdoutIsTty() {
    return isatty(STDOUT);
  },
  get stderrIsTty() {
    return isatty(STDERR);
  },
  get columns() {
    // Reading `process.stderr` makes its pipe non-blocking for every process that shares it.
    return (isatty(STDERR) && process.stderr.columns) || 80;
  },
};

let statusShown = false;

/**
 * Names of files and of lease holders, and texts of backends, can contain control sequences. A terminal executes them: they change
 * its title, hide lines or enter text.
 */
export function withoutControls(text: string): string {
  return text.replaceAll(/(?![\t\n])[\p{Cc}\u202A-\u202E\u2066-\u2069]/gu, '?');
}

function clearStatus(): void {
  if (statusShown) logOutput(STDERR).put('\r\u001B[K');
  statusShown = false;
}
