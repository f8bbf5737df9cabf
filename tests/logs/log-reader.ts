/** What a running program has logged so far, and waiting for more of it. */
import type { Child } from '../support/child.ts';
import { tail } from '../support/child.ts';
import { until } from '../support/wait.ts';

export class LogReader {
  readonly #child: Child;

  constructor(child: Child) {
    this.#child = child;
  }

  has(message: string): boolean {
    const text = this.#child.output;
    const quoted = message.includes(' ') ? `"${message}"` : message;
    return text.includes(`msg=${quoted}`) || text.includes(`"msg":"${message}"`);
  }

  /** Waits until each of these was logged; between two looks, `meanwhile` keeps the application busy. */
  async shows(messages: readonly string[], meanwhile?: () => void): Promise<void> {
    await until(
      `lines ${messages.map((message) => `"${message}"`).join(', ')}`,
      () => {
        const missing = messages.filter((message) => !this.has(message));
        if (missing.length > 0) meanwhile?.();
        return missing.length === 0;
      },
      { timeoutMs: 100_000, intervalMs: 30, failed: () => this.#failure(messages) },
    );
  }

  #failure(messages: readonly string[]): string | undefined {
    if (this.#child.exit === undefined || messages.every((message) => this.has(message))) return undefined;
    return `it ended:\n${tail(this.#child.output)}`;
  }
}
