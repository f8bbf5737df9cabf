/** What a command printed, as the answer of a tool: data alone, warnings apart, advice only where a tool can take it. */
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

/** Why a command failed, after what it said before that. */
export function reasonOf({ exitCode, stdout, stderr }: CommandResult): string {
  const lines = stderr.split('\n').filter((line) => !WARNING.test(line) && !line.startsWith('Try: '));
  const said = `${stdout}${lines.map(withoutFlagAdvice).join('\n')}`.trim();
  if (exitCode === undefined) return `${said} (ended by a signal)`.trim();
  return said === '' ? `exit status ${exitCode}` : said;
}

/** Sentences after the first tell what to do. A flag is nothing that a tool could be given. */
function withoutFlagAdvice(line: string): string {
  const [what = '', ...advice] = line.split(/(?<=[.?!]) (?=[A-Z])/);
  return [what, ...advice.filter((sentence) => !/(^|[\s(])-[a-z]/.test(sentence))].join(' ');
}

/** Each warning once. */
function warningsOf(results: readonly CommandResult[]): { type: 'text'; text: string }[] {
  const lines = results.flatMap(({ stderr }) => stderr.split('\n').filter((line) => WARNING.test(line)));
  return lines.length === 0 ? [] : [{ type: 'text', text: redact([...new Set(lines)].join('\n')) }];
}
