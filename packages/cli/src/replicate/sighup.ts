/** SIGHUP has two meanings: reload the config, or the terminal in which the process was started is gone. */
import { closeSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';

export class ControllingTerminal {
  /** `nohup` and service managers connect none of these to a terminal. Node hides whether SIGHUP was ignored at the start. */
  readonly #startedInTerminal = [0, 1, 2].some((fd) => isatty(fd));

  /** Call this when the signal arrives. A process that outlives its terminal would run unnoticed beside its successor. */
  isGone(): boolean {
    return this.#startedInTerminal && !hasTerminal();
  }
}

/** Whether this process has a controlling terminal. A closed terminal is taken from all processes of its session. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r+'));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return false;
  }
}
