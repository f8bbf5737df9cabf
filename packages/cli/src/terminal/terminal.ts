/** Where commands print. Results go to standard output, errors and advice to standard error. */
import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { redact } from '../secrets.ts';

export interface Terminal {
  /** Prints a result as it is. */
  out(text: string): void;
  /** Prints a line on standard error, secrets blotted out. */
  err(line: string): void;
  /** Shows this line below all others until the next one, or takes it away. Only where standard error is a terminal. */
  status(line: string | undefined): void;
  /** Prints log lines to standard output, or to standard error. */
  logLine(stderr: boolean): (line: string) => void;
  readonly stdoutIsTty: boolean;
  readonly stderrIsTty: boolean;
  /** Columns of the terminal that standard error is, 80 where unknown. */
  readonly columns: number;
}

const STDOUT = 1;
const STDERR = 2;

/** The process's own. A reader that went away is no error of ours: the rest of the output is dropped. */
export const processTerminal: Terminal = {
  out: (text) => print(STDOUT, text),
  err: (line) => print(STDERR, `${redact(line)}\n`),
  status: (line) => {
    clearStatus();
    if (line === undefined || !isatty(STDERR)) return;
    writeAll(STDERR, line);
    statusShown = true;
  },
  logLine: (stderr) => (line) => printLog(stderr ? STDERR : STDOUT, `${line}\n`),
  get stdoutIsTty() {
    return isatty(STDOUT);
  },
  get stderrIsTty() {
    return isatty(STDERR);
  },
  get columns() {
    return process.stderr.columns || 80;
  },
};

let statusShown = false;

function clearStatus(): void {
  if (statusShown) writeAll(STDERR, '\r\u001B[K');
  statusShown = false;
}

function print(descriptor: number, text: string): void {
  clearStatus();
  writeAll(descriptor, text);
}

/** A log that cannot be written, as on a full disk, must not end what it tells of: the line is lost, later ones may be written. */
function printLog(descriptor: number, text: string): void {
  try {
    print(descriptor, text);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall !== 'write') throw error;
  }
}

const closed = new Set<number>();
const pause = new Int32Array(new SharedArrayBuffer(4));

/** Synchronous, so that lines are whole and in order whatever ends the process next. */
function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let offset = 0; offset < bytes.length && !closed.has(descriptor);) {
    try {
      offset += writeSync(descriptor, bytes, offset);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      // A pipe that somebody made non-blocking is full: its reader will make room.
      if (code === 'EAGAIN') Atomics.wait(pause, 0, 0, 1);
      else if (code === 'EPIPE' || code === 'EBADF' || code === 'EIO') closed.add(descriptor);
      else throw error;
    }
  }
}
