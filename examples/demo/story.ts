/** How the demo prints. */
import { styleText } from 'node:util';

export function bold(text: string): string {
  return styleText('bold', text);
}

/** A line of the story: who, and what happened. */
export function say(who: string, what: string): void {
  console.log(`  ${styleText('cyan', who.padEnd(12))}${what}`);
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export function thousands(count: number): string {
  return count.toLocaleString('en');
}

/** @param sorted Ascending. */
export function percentile(sorted: readonly number[], percent: number): string {
  const at = Math.min(sorted.length - 1, Math.ceil((percent / 100) * sorted.length) - 1);
  return (sorted[at] ?? Number.NaN).toFixed(1);
}
