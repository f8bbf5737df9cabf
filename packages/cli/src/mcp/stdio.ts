/** The Model Context Protocol on standard input and output, for an assistant that starts this process itself. */
import { describeError } from '../util/describe-error.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { CommandRunner } from './command.ts';
import { loadSdk, MESSAGE_LENGTH_MAX, serverFactory } from './sdk.ts';
import type { ToolsOptions } from './tools.ts';

/** Serves until the client closes its input or sends a message that is too long, or until a signal. Then ends running commands. */
export async function serveStdio(options: Omit<ToolsOptions, 'commands'>, terminal: Terminal): Promise<void> {
  const { sdk, stdio } = await loadSdk('litestream mcp');
  // Standard output belongs to the protocol: the client would take a library's output for an answer.
  console.log = console.error;
  console.info = console.error;
  console.debug = console.error;
  const commands = new CommandRunner();
  const ended = Promise.withResolvers<void>();
  const end = (): void => ended.resolve();
  const transport = new stdio.StdioServerTransport(process.stdin, process.stdout, {
    maxBufferSize: MESSAGE_LENGTH_MAX,
  });
  for (const signal of STOP_SIGNALS) process.once(signal, end);
  // The transport closes itself at the end of its input, and when a message is too long.
  const close = transport.close.bind(transport);
  transport.close = () => close().finally(end);
  process.stdin.once('error', end);
  process.stdout.once('error', end);
  const server = stdio.serveStdio(await serverFactory(sdk, { ...options, commands }), {
    transport,
    onerror: (error) => terminal.err(`Warning: ${describeError(error)}`),
  });
  await ended.promise;
  for (const signal of STOP_SIGNALS) process.off(signal, end);
  commands.close();
  await server.close();
  process.stdin.destroy();
}

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
