/** Turns the output of a command into the answer of a tool: data apart from warnings, and no advice about flags. */
import type { CallToolResult } from '@modelcontextprotocol/server';
import { redact } from '../util/secrets.ts';
import type { CommandResult } from './command.ts';

const WARNING = /^Warning: /;

/** The result of a command. Its warnings follow as a text of their own. */
export function answer(result: CommandResult): CallToolResult {
  return result.exitCode === 0 ? success(result.stdout, [result]) : failure(reasonOf(result), [result]);
}

export function success(text: string, results: readonly CommandResult[]): CallToolResult {
  return { content: [{ type: 'text', text: redact(text) }, ...warningsOf(results)] };
}

export function failure(text: string, results: readonly CommandResult[]): CallToolResult {
  return { content: [{ type: 'text', text: redact(text) }, ...warningsOf(results)], isError: true };
}

/** The output of a failed command, with the reason of the failure at its end. */
export function reasonOf({ exitCode, stdout, stderr }: CommandResult): string {
  const lines = stderr.split('\n').filter((line) => !WARNING.test(line) && !line.startsWith('Try: '));
  const said = `${stdout}${lines.map(withoutFlagAdvice).join('\n')}`.trim();
  if (exitCode === undefined) return `${said} (ended by a signal)`.trim();
  return said === '' ? `exit status ${exitCode}` : said;
}

/** Removes advice that names a flag, which a tool cannot take. Sentences after the first are advice. */
function withoutFlagAdvice(line: string): string {
  const [what = '', ...advice] = line.split(/(?<=[.?!]) (?=[A-Z])/);
  return [what, ...advice.filter((sentence) => !/(^|[\s(])-[a-z]/.test(sentence))].join(' ');
}

/** Each warning once. */
function warningsOf(results: readonly CommandResult[]): { type: 'text'; text: string }[] {
  const lines = results.flatMap(({ stderr }) => stderr.split('\n').filter((line) => WARNING.test(line)));
  return lines.length === 0 ? [] : [{ type: 'text', text: redact([...new Set(lines)].join('\n')) }];
}
