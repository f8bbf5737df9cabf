/** SIGHUP has two meanings: read the config again, or the terminal that the process was started in is gone. */
import { closeSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';

export class ControllingTerminal {
  /** `nohup` and service managers leave none of these on a terminal; Node hides whether the signal was to be ignored. */
  readonly #startedInTerminal = [0, 1, 2].some((fd) => isatty(fd));

  /** Asked when the signal arrives. A process that outlived its terminal would go on unseen beside its successor. */
  isGone(): boolean {
    return this.#startedInTerminal && !hasTerminal();
  }
}

/** Has this process a terminal that controls it? The system takes it away from the whole session when it is closed. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r+'));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return false;
  }
}
