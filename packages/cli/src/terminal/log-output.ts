/**
 * Where log lines go. Replication does not depend on them: a line that cannot be written is dropped and counted, and each
 * later line is tried, so logging resumes as soon as the file has room or the pipe has a reader.
 */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { errnoOf, sleepSync } from './write-all.ts';

/** How long to wait for a reader that stalls, once. After that, lines are dropped until it takes one. */
const PATIENCE_MS = 100;

const outputs = new Map<number, LogOutput>();

/** The log output of standard output or standard error. All loggers share it, so each can end a line that was cut off. */
export function logOutput(descriptor: number): LogOutput {
  const made = outputs.get(descriptor) ?? new LogOutput(descriptor);
  outputs.set(descriptor, made);
  return made;
}

/** Makes the line that reports lost lines. */
export type LostLine = (count: number, reason: string) => string;

export class LogOutput {
  readonly #descriptor: number;
  #lost = 0;
  #reason = '';
  /** The reader has taken no byte for `PATIENCE_MS`. */
  #isStalled = false;
  /** The last line was written only in part. */
  #isCut = false;

  constructor(descriptor: number) {
    this.#descriptor = withoutBlocking(descriptor) ?? descriptor;
  }

  /** Writes the line if the output takes it within `PATIENCE_MS`. Never throws. */
  write(line: string, lostLine: LostLine): void {
    if (this.#lost > 0) {
      if (!this.#tryWrite(lostLine(this.#lost, this.#reason))) {
        this.#lost += 1;
        return;
      }
      this.#lost = 0;
    }
    if (!this.#tryWrite(line)) this.#lost = 1;
  }

  /** Writes as much of the text as the output takes within `PATIENCE_MS`; returns the number of bytes. Never throws. */
  put(text: string): number {
    const bytes = Buffer.from(text);
    const patienceMs = this.#isStalled ? 0 : PATIENCE_MS;
    let [offset, waitedMs] = [0, 0];
    while (offset < bytes.length) {
      try {
        offset += writeSync(this.#descriptor, bytes, offset);
      } catch (error) {
        this.#reason = errnoOf(error);
        const isFull = this.#reason === 'EAGAIN';
        if (!isFull || waitedMs >= patienceMs) {
          this.#isStalled = isFull;
          return offset;
        }
        sleepSync(1);
        waitedMs += 1;
      }
    }
    this.#isStalled = false;
    return offset;
  }

  #tryWrite(line: string): boolean {
    const start = this.#isCut ? '\n' : '';
    const written = this.put(`${start}${line}\n`);
    const isWhole = written === Buffer.byteLength(line) + start.length + 1;
    if (isWhole) this.#isCut = false;
    // After the line break alone, no line is cut.
    else if (written > 0) this.#isCut = written > start.length;
    return isWhole;
  }
}

/**
 * Another descriptor of the same pipe or terminal, whose writes do not wait for a reader. The original stays blocking: the
 * program of `-exec` and the parent of this process share it. Undefined for sockets, and on systems other than Linux.
 */
function withoutBlocking(descriptor: number): number | undefined {
  try {
    const stats = fstatSync(descriptor);
    if (process.platform !== 'linux' || !(stats.isFIFO() || stats.isCharacterDevice())) return undefined;
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    const opened = openSync(`/proc/self/fd/${descriptor}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    const again = fstatSync(opened);
    if (again.ino === stats.ino && again.dev === stats.dev) return opened;
    closeSync(opened);
    return undefined;
  } catch {
    return undefined;
  }
}
