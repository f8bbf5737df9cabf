import { goJsonIndented } from '../../control/go-json.ts';
import type { Terminal } from '../../terminal/terminal.ts';

/** The result of a command over the control socket: `key: value` lines, or JSON. Undefined values are left out. */
export function printResult(
  result: Readonly<Record<string, string | number | bigint | undefined>>,
  json: boolean,
  terminal: Terminal,
): void {
  if (json) {
    terminal.out(goJsonIndented(result));
    return;
  }
  for (const [key, value] of Object.entries(result)) {
    if (value !== undefined) terminal.out(`${key}: ${value}\n`);
  }
}
