import { expect, test } from 'vitest';
import { CommandRunner } from '../src/mcp/command.ts';

test('requests whose clients went away neither stay in the queue nor keep others waiting', async () => {
  const commands = new CommandRunner();
  const here = new AbortController();
  const gone = new AbortController();
  // As many as run at the same time, and more than may wait.
  const running = Array.from({ length: 4 }, () => commands.run(['version'], here.signal));
  const left = Array.from({ length: 64 }, () => commands.run(['version'], gone.signal));
  await expect(commands.run(['version'], here.signal)).rejects.toThrow('too many requests are waiting');
  gone.abort(new Error('the client went away'));
  const next = commands.run(['version'], here.signal);
  for (const result of await Promise.allSettled(left)) expect(result).toMatchObject({ status: 'rejected' });
  expect((await Promise.all([...running, next])).map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0, 0]);
  commands.close();
});
