/** SIGHUP has two meanings: read the config again, or the terminal that the process was started from is gone. */
import { closeSync, openSync, readFileSync } from 'node:fs';

const SIGHUP_BIT = 1n;

export class Hangup {
  readonly #hadTerminal = hasTerminal();
  readonly #wasIgnored = isIgnored();

  /** Called when the signal arrives: has the terminal of an interactive start gone, and nobody (`nohup`) said to outlive it? */
  isTerminalGone(): boolean {
    return this.#hadTerminal && !this.#wasIgnored && !hasTerminal();
  }
}

/** Has this process a terminal that controls it? The system takes it away from the whole session when it is closed. */
function hasTerminal(): boolean {
  if (process.platform === 'win32') return false;
  try {
    closeSync(openSync('/dev/tty', 'r+'));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return false;
  }
}

/** Was it started with SIGHUP ignored? Where the system does not tell (not Linux), it is taken to have been. */
function isIgnored(): boolean {
  try {
    const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return mask === undefined || (BigInt(`0x${mask}`) & SIGHUP_BIT) !== 0n;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return true;
  }
}
