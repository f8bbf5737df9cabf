import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createLogger } from '../src/log/logger.ts';
import { Heartbeat } from '../src/replicate/heartbeat.ts';
import type { DatabaseReport } from '../src/daemon/services/report.ts';
import { until } from './support/cli.ts';
import { httpServer } from '../../../tests/support/http-server.ts';

const MINUTE_MS = 60_000;

function reportOf(state: DatabaseReport['state'], lastSyncAtMs: number | undefined): DatabaseReport {
  const lastSyncAt = lastSyncAtMs === undefined ? undefined : new Date(lastSyncAtMs);
  return { path: '/a', state, txid: 1n, db: undefined, replicas: [], lastSyncAt, lastError: undefined };
}

async function setUp(status = 200): Promise<{ url: string; paths: string[] }> {
  const paths: string[] = [];
  const server = httpServer((request, response) => {
    paths.push(`${request.method} ${request.url}`);
    response.writeHead(status).end('ok');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { paths, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/secret-key` };
}

describe('heartbeat', () => {
  test('pings while all is well, at most once per interval', async () => {
    const { url, paths } = await setUp();
    const lines: string[] = [];
    const logger = createLogger({
      level: 'debug',
      type: 'text',
      source: false,
      colour: false,
      write: (line) => lines.push(line),
    });
    let nowMs = 1e12;
    let reports: DatabaseReport[] = [];
    const daemon = { report: () => reports };
    const heartbeat = new Heartbeat({ url, intervalMs: MINUTE_MS, daemon, logger, now: () => nowMs });
    heartbeat.check();
    reports = [reportOf('replicating', undefined)];
    heartbeat.check();
    reports = [reportOf('replicating', nowMs - 2 * MINUTE_MS), reportOf('replicating', nowMs)];
    heartbeat.check();
    reports = [reportOf('stopped', undefined)];
    heartbeat.check();
    expect(paths).toEqual([]);
    reports = [reportOf('replicating', nowMs - 1000), reportOf('stopped', undefined)];
    heartbeat.check();
    await until(() => paths.length === 1, 'the first ping');
    nowMs += MINUTE_MS - 1;
    reports = [reportOf('replicating', nowMs)];
    heartbeat.check();
    nowMs += 1;
    heartbeat.check();
    await until(() => paths.length === 2, 'the second ping');
    await until(() => lines.length === 2, 'the log');
    await heartbeat.stop();
    expect(paths).toEqual(['GET /secret-key', 'GET /secret-key']);
    expect(lines.join('\n')).toContain('msg="heartbeat ping sent"');
    expect(lines.join('\n')).not.toContain('secret-key');
  });

  test.each([500, 0])('says that a ping failed (%i), without the key', async (status) => {
    const { url } = status === 0 ? { url: 'http://127.0.0.1:1/secret-key' } : await setUp(status);
    const lines: string[] = [];
    const write = (line: string): void => void lines.push(line);
    const logger = createLogger({ level: 'info', type: 'text', source: false, colour: false, write });
    const daemon = { report: () => [reportOf('replicating', Date.now())] };
    const heartbeat = new Heartbeat({ url, intervalMs: MINUTE_MS, daemon, logger });
    heartbeat.check();
    await until(() => lines.length === 1, 'the log');
    expect(lines[0]).toMatch(
      /level=ERROR msg="heartbeat ping failed" system=store url=http:\/\/127\.0\.0\.1:\d+\/… error=/,
    );
    expect(lines[0]).not.toContain('secret-key');
    await heartbeat.stop();
  });
});
