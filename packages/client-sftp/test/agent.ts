/** An SSH agent on a socket, as ssh-agent is: it holds one key and signs with it. */
import { createServer } from 'node:net';
import { join } from 'node:path';

import ssh2 from 'ssh2';

export interface TestAgent extends AsyncDisposable {
  /** What SSH_AUTH_SOCK would hold. */
  readonly socket: string;
  /** Signatures it was asked for. */
  readonly signed: () => number;
}

/** Listens in a folder, with the private key given. */
export async function startAgent(folder: string, privateKey: Buffer): Promise<TestAgent> {
  const key = ssh2.utils.parseKey(privateKey);
  if (key instanceof Error) throw key;
  let signatures = 0;
  const server = createServer((socket) => {
    const agent = new ssh2.AgentProtocol(false);
    agent.on('identities', (request) => agent.getIdentitiesReply(request, [key]));
    agent.on('sign', (request, _publicKey, data) => {
      signatures += 1;
      const signature = key.sign(data);
      if (signature instanceof Error) agent.failureReply(request);
      else agent.signReply(request, signature);
    });
    socket.on('error', () => undefined);
    socket.pipe(agent).pipe(socket);
  });
  const path = join(folder, 'agent.sock');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    socket: path,
    signed: () => signatures,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
