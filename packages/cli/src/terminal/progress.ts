/** Progress of a long operation: a bar on a terminal, otherwise a log line from time to time. */
import type { Logger } from '@litestream/core';
import { formatDuration } from '../units/duration.ts';
import { formatSize } from '../units/size.ts';
import type { Terminal } from './terminal.ts';

const BAR_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 5000;
const [BAR_WIDTH_MIN, BAR_WIDTH_MAX] = [5, 30];

export interface ProgressOptions {
  readonly terminal: Terminal;
  readonly logger: Logger;
  /** The operation: `restore`, `snapshot`. */
  readonly name: string;
  /** A monotonic clock in milliseconds; for tests. */
  readonly now?: () => number;
}

export class Progress {
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  readonly #startMs: number;
  #lastMs: number;
  #drawn = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#startMs = this.#now();
    this.#lastMs = this.#startMs;
  }

  /** @param phase Current part of the operation; only `write` moves bytes. @param total All bytes, if known. */
  update(phase: string, done: number, total: number | undefined): void {
    const { terminal, logger, name } = this.#options;
    const nowMs = this.#now();
    const elapsedMs = nowMs - this.#startMs;
    const due = nowMs - this.#lastMs >= (terminal.stderrIsTty ? BAR_INTERVAL_MS : LINE_INTERVAL_MS);
    if (!due && (phase === 'write' || !this.#drawn)) return;
    this.#lastMs = nowMs;
    if (phase !== 'write') {
      if (terminal.stderrIsTty) this.#draw(`${name}: ${phase} …`);
      return;
    }
    const rate = done / (elapsedMs / 1000);
    const leftMs = total === undefined || rate === 0 ? undefined : ((total - done) / rate) * 1000;
    if (terminal.stderrIsTty) {
      this.#draw(formatBar(name, done, total, rate, leftMs, terminal.columns));
      return;
    }
    const percent = total === undefined || total === 0 ? undefined : Math.floor((done / total) * 100);
    logger.info(`${name} progress`, {
      ...(percent === undefined ? {} : { percent }),
      done: formatSize(done),
      ...(total === undefined ? {} : { total: formatSize(total) }),
      rate: `${formatSize(Math.round(rate))}/s`,
      ...(leftMs === undefined ? {} : { left: Math.ceil(leftMs / 1000) * 1000 }),
    });
  }

  #draw(line: string): void {
    this.#options.terminal.status(line);
    this.#drawn = true;
  }

  /** Removes the bar. */
  clear(): void {
    if (this.#drawn) this.#options.terminal.status(undefined);
    this.#drawn = false;
  }
}

/** `restore ━━━━━━━──── 45 %  483 MB of 1.1 GB  812 MB/s  1s left`; on a narrow terminal, as much of it as fits. */
export function formatBar(
  name: string,
  done: number,
  total: number | undefined,
  rate: number,
  leftMs: number | undefined,
  columns: number,
): string {
  const speed = `${formatSize(Math.round(rate))}/s`;
  if (total === undefined || total === 0) return `${name}  ${formatSize(done)}  ${speed}`.slice(0, columns - 1);
  const share = Math.min(1, done / total);
  const left = leftMs === undefined ? '' : `  ${formatDuration(Math.ceil(leftMs / 1000) * 1000)} left`;
  const percent = ` ${String(Math.floor(share * 100)).padStart(3)} %`;
  const facts = `${percent}  ${formatSize(done)} of ${formatSize(total)}  ${speed}${left}`;
  const width = Math.min(BAR_WIDTH_MAX, columns - 1 - name.length - 1 - facts.length);
  if (width < BAR_WIDTH_MIN) {
    const shorter = [facts, `${percent}  ${formatSize(done)}  ${speed}${left}`, `${percent}${left}`, percent];
    const fitting = shorter.find((each) => name.length + each.length < columns) ?? '';
    return `${name}${fitting}`.slice(0, columns - 1);
  }
  const filled = Math.round(share * width);
  return `${name} ${'━'.repeat(filled)}${'─'.repeat(width - filled)}${facts}`;
}
