import { silentLogger } from '@litestream/core';
import type { LogFields, Logger } from '@litestream/core';
import { expect, test } from 'vitest';
import { warnInClear } from '../src/clear-text.ts';
import type { NatsOptions } from '../src/options.ts';

function warnings(
  servers: readonly string[],
  options: Partial<NatsOptions>,
  info = {},
): (readonly [string, unknown])[] {
  const said: (readonly [string, unknown])[] = [];
  const logger: Logger = {
    ...silentLogger,
    warn: (message: string, fields?: LogFields) => void said.push([message, fields?.['server']]),
  };
  for (const server of servers) warnInClear({ getServer: () => server, info }, { bucket: 'b', ...options }, logger);
  return said;
}

test('a connection in clear to another machine is warned about, once a server', () => {
  const message = 'the connection to the NATS server is not encrypted';
  expect(warnings(['10.1.2.3:4222', '10.1.2.3:4222', 'nats.example:4222', '[2001:db8::1]:4222'], {})).toEqual([
    [message, '10.1.2.3:4222'],
    [message, 'nats.example:4222'],
    [message, '[2001:db8::1]:4222'],
  ]);
});

test('what stays on this machine, or is encrypted, is not', () => {
  expect(warnings(['127.0.0.1:4222', 'localhost:4222', '[::1]:4222'], {})).toEqual([]);
  expect(warnings(['10.1.2.4:4222'], { tls: true })).toEqual([]);
  expect(warnings(['10.1.2.5:4222'], { rootCas: ['ca.pem'] })).toEqual([]);
  expect(warnings(['10.1.2.6:4222'], {}, { tls_required: true })).toEqual([]);
  expect(warnings(['10.1.2.7:4222'], {}, { tls_available: true })).toEqual([]);
});
