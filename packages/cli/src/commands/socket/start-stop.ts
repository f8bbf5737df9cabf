/** The request and the output that `start` and `stop` share. */
import { expandPath } from '../../config/paths.ts';
import { askDaemon } from '../../control/client.ts';
import type { StateResponse } from '../../control/protocol.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import { printResult } from '../shared/result.ts';

export interface StateChange {
  readonly name: 'start' | 'stop';
  readonly state: 'running' | 'stopped';
  readonly path: string;
  readonly values: { readonly timeout: number; readonly socket: string; readonly json: boolean };
  readonly terminal: Terminal;
}

export async function changeState({ name, state, path, values, terminal }: StateChange): Promise<void> {
  const { socket, timeout } = values;
  const answer = await askDaemon<StateResponse>({
    socket,
    name,
    path: `/${name}`,
    body: { path: expandPath(path), ...(timeout === 0 ? {} : { timeout }) },
    timeoutSeconds: timeout,
  });
  const { status, path: db_path, txid } = answer;
  printResult({ status, db_path, state, txid, socket }, values.json, terminal);
}
