/** A token service of Google's that gives none: the login is revoked, or the clock is wrong, as it describes. */
import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { httpServer } from './http-server.ts';
import { temporaryFolder } from './temporary-folder.ts';

export class RefusingTokens implements AsyncDisposable {
  /** Path of a file of credentials that leads here. */
  readonly credentials: string;
  readonly #end: () => Promise<void>;

  /** @param subject what the file of credentials brings along, a secret */
  static async start(description: string, subject: string): Promise<RefusingTokens> {
    const server = httpServer((request, response) => {
      request.resume();
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: 'invalid_grant', error_description: description }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const folder = await temporaryFolder('tokens');
    const credentials = join(folder.path, 'credentials.json');
    const file = join(folder.path, 'subject.txt');
    await writeFile(file, subject);
    await writeFile(
      credentials,
      JSON.stringify({
        type: 'external_account',
        audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/token`,
        credential_source: { file },
      }),
    );
    return new RefusingTokens(credentials, async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await folder[Symbol.asyncDispose]();
    });
  }

  private constructor(credentials: string, end: () => Promise<void>) {
    this.credentials = credentials;
    this.#end = end;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }
}
