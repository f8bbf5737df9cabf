/** Stands before Azurite and passes requests on, so that a test can make one fail on the way. */
import { type IncomingMessage, request as ask } from 'node:http';

import {
  type Answer,
  type Call,
  ProtocolServer,
  type Refusal,
  answer,
} from '../../../tests/support/protocol-server.ts';
import type { Azurite } from './azurite.ts';

export class AzuriteFront extends ProtocolServer {
  readonly #azurite: URL;

  static async start(azurite: Azurite): Promise<AzuriteFront> {
    return await new AzuriteFront(azurite).listen();
  }

  private constructor(azurite: Azurite) {
    super();
    this.#azurite = new URL(azurite.endpoint);
  }

  /** The account's address, as configs name it. */
  override get endpoint(): string {
    return super.endpoint + this.#azurite.pathname;
  }

  protected read(request: IncomingMessage, body: Buffer): Call {
    const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://server');
    const [, , bucket = '', ...key] = decodeURIComponent(pathname).split('/');
    const method = request.method ?? 'GET';
    const operation = method + (query.get('comp') === null ? '' : ` ${query.get('comp')}`);
    return { method, operation, bucket, key: key.join('/'), query, headers: request.headers, body };
  }

  /** Azurite checks who asks. */
  protected authorize(): void {}

  protected refuse(_call: Call | undefined, { status, code, message, headers }: Refusal): Answer {
    const body = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`;
    return answer(status, body, { 'content-type': 'application/xml', 'x-ms-error-code': code, ...headers });
  }

  protected answer(call: Call, request: IncomingMessage): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = this.#azurite;
      const { method, url: path, headers } = request;
      const forward = ask({ hostname, port, method, path, headers, agent: false }, (incoming) => {
        void answerOf(incoming).then(resolve, reject);
      });
      forward.once('error', reject);
      forward.end(call.body);
    });
  }
}

async function answerOf(incoming: IncomingMessage): Promise<Answer> {
  const body = Buffer.concat(await Array.fromAsync(incoming as AsyncIterable<Buffer>));
  const headers = Object.entries(incoming.headers).filter(
    ([name]) => !/^(connection|keep-alive|transfer-encoding)$/.test(name),
  );
  const told = answer(incoming.statusCode ?? 502, body);
  return {
    ...told,
    headers: { ...told.headers, ...Object.fromEntries(headers.map(([name, value]) => [name, String(value)])) },
  };
}
