/** `/debug/pprof/…`: profiles of this process as V8 makes them, in place of those of Litestream (Go). */
import { Session } from 'node:inspector/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import { getHeapSnapshot } from 'node:v8';
import { redact } from '../util/secrets.ts';

const SECONDS_MAX = 600;

const INDEX = `<html>
<head><title>/debug/pprof/</title></head>
<body>
<p>Profiles of this process. Open them in the developer tools of Chrome, or in any tool that reads V8's.</p>
<ul>
<li><a href="profile?seconds=30">profile</a>: CPU profile over the given seconds, to be saved as .cpuprofile</li>
<li><a href="allocs?seconds=30">allocs</a>: what allocates over the given seconds, to be saved as .heapprofile</li>
<li><a href="heap">heap</a>: snapshot of the heap, to be saved as .heapsnapshot; the process pauses meanwhile. It
holds every secret, so it needs heap-snapshots in the socket section of the config</li>
<li><a href="cmdline">cmdline</a>: the command line, words separated by zero bytes</li>
</ul>
</body>
</html>
`;

let profiling = false;

/** Answers the request. False if there is no such profile. */
export async function serveProfile(
  name: string,
  { heapSnapshots }: { readonly heapSnapshots: boolean },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  switch (name) {
    case '':
      response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(INDEX);
      return true;
    case 'cmdline':
      response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' }).end(redact(process.argv.join('\0')));
      return true;
    case 'heap':
      if (!heapSnapshots) {
        response
          .writeHead(403, { 'Content-Type': 'text/plain; charset=utf-8' })
          .end('a heap snapshot holds every secret: set heap-snapshots: true in the socket section of the config\n');
        return true;
      }
      response.writeHead(200, attachment('litestream.heapsnapshot'));
      await pipeline(getHeapSnapshot(), response);
      return true;
    case 'profile':
      await serveSampled('Profiler', request, response);
      return true;
    case 'allocs':
      await serveSampled('HeapProfiler', request, response);
      return true;
    default:
      return false;
  }
}

/** CPU and allocation profiles, which contain only names of functions, no values. */
async function serveSampled(
  domain: 'Profiler' | 'HeapProfiler',
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (profiling) {
    response
      .writeHead(500, { 'Content-Type': 'text/plain; charset=utf-8' })
      .end('Could not enable CPU profiling: cpu profiling already in use\n');
    return;
  }
  profiling = true;
  const session = new Session();
  session.connect();
  try {
    if (domain === 'Profiler') {
      await session.post('Profiler.enable');
      await session.post('Profiler.start');
    } else {
      await session.post('HeapProfiler.startSampling');
    }
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    await sleep(secondsOf(request) * 1000, undefined, { signal: gone.signal }).catch(() => undefined);
    const { profile } =
      domain === 'Profiler' ? await session.post('Profiler.stop') : await session.post('HeapProfiler.stopSampling');
    const name = domain === 'Profiler' ? 'litestream.cpuprofile' : 'litestream.heapprofile';
    response.writeHead(200, attachment(name)).end(JSON.stringify(profile));
  } finally {
    session.disconnect();
    profiling = false;
  }
}

function secondsOf(request: IncomingMessage): number {
  const seconds = Number(new URL(request.url ?? '/', 'http://localhost').searchParams.get('seconds') ?? '30');
  return seconds > 0 ? Math.min(seconds, SECONDS_MAX) : 30;
}

function attachment(name: string): Record<string, string> {
  return { 'Content-Type': 'application/octet-stream', 'Content-Disposition': `attachment; filename="${name}"` };
}
