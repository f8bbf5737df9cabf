/**
 * Months of a replica's life in an hour: `npm run soak -- [--minutes N] [--seed N] [--probe-seconds N]`.
 *
 * A writer commits 200 times a second, `litestream replicate` runs with its intervals shortened to seconds, and random
 * moments of the past are restored and proven all the while. Ends with a table, and with 1 if anything did not hold.
 */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Child } from '../support/child.ts';
import { tsProgram } from '../support/programs.ts';
import { Random, seedOf } from '../support/random.ts';
import { levelMaxTxid } from '../support/replica-folder.ts';
import { repositoryRoot } from '../support/repository.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { pause, until } from '../support/wait.ts';
import { CommitLogReader } from './commit-log.ts';
import { probeTimestamp, probeTxid } from './probe.ts';
import type { ProbeContext, Proof } from './probe.ts';
import { brokenBounds, figures, linesOf } from './report.ts';
import type { Run } from './report.ts';
import { verifyRing } from './ring.ts';
import { takeSample, Timeline } from './samples.ts';
import type { Sample } from './samples.ts';
import { commitsPerSecond, payloadSizeMax, slotCount, writeSettings } from './settings.ts';
import type { SoakWriterOptions } from './writer.ts';

interface Options {
  readonly durationMs: number;
  readonly probeIntervalMs: number;
  readonly seed: number;
}

function optionsOf(): Options {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '60' },
      'probe-seconds': { type: 'string', default: '60' },
      seed: { type: 'string' },
    },
  });
  const positive = (name: 'minutes' | 'probe-seconds'): number => {
    const value = Number(values[name]);
    if (!(value > 0)) throw new Error(`--${name} must be a number above 0, not ${values[name]}`);
    return value;
  };
  return {
    durationMs: positive('minutes') * 60_000,
    probeIntervalMs: positive('probe-seconds') * 1000,
    seed: seedOf(values.seed ?? process.env['SEED']),
  };
}

class Soak {
  readonly #options: Options;
  readonly #folder: string;
  readonly #samples: Sample[] = [];
  readonly #byTxid: Proof[] = [];
  readonly #byTimestamp: Proof[] = [];
  readonly #timeline = new Timeline();
  readonly #program = tsProgram();
  readonly #startMs = performance.now();

  constructor(folder: string, options: Options) {
    this.#folder = folder;
    this.#options = options;
  }

  get #elapsedMs(): number {
    return performance.now() - this.#startMs;
  }

  async run(): Promise<Run> {
    const { seed, durationMs } = this.#options;
    const paths = { database: join(this.#folder, 'app.db'), replica: join(this.#folder, 'replica') };
    const commitLog = join(this.#folder, 'commits');
    const writerOptions: SoakWriterOptions = {
      database: paths.database,
      commitLog,
      seed,
      commitsPerSecond,
      slotCount,
      payloadSizeMax,
    };
    const program = join(repositoryRoot, 'tests', 'soak', 'writer.ts');
    await using writer = new Child('writer', process.execPath, [
      '--no-warnings',
      program,
      JSON.stringify(writerOptions),
    ]);
    const settings = await writeSettings(join(this.#folder, 'litestream.yml'), paths.database, paths.replica);
    await using daemon = this.#program.replicate(settings);
    const failed = (): string | undefined =>
      [writer, daemon].flatMap((child) =>
        child.exit === undefined ? [] : [`${child.name} ended: ${child.output}`],
      )[0];
    await until('the first upload', async () => (await levelMaxTxid(paths.replica)) > 0n, { failed });
    const commits = new CommitLogReader(commitLog);
    const watched = { ...paths, local: join(this.#folder, '.app.db-litestream'), pid: daemon.pid };
    const context: ProbeContext = {
      program: this.#program,
      replica: paths.replica,
      folder: this.#folder,
      commits,
      timeline: this.#timeline,
      random: new Random(seed + 1),
    };
    const probing = new AbortController();
    const probes = this.#probe(context, probing.signal);
    // A broken promise ends the run at once, not an hour later.
    const broken = probes.then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    try {
      while (this.#elapsedMs < durationMs) {
        const failure = failed();
        if (failure !== undefined) throw new Error(failure);
        await this.#timeline.look(paths.replica);
        const atMs = this.#elapsedMs;
        this.#samples.push(await takeSample(watched, atMs));
        const stopped = await Promise.race([
          broken,
          pause(Math.max(0, atMs + 1000 - this.#elapsedMs), 'a sample each second'),
        ]);
        if (stopped !== undefined) throw stopped.error;
      }
    } finally {
      probing.abort();
    }
    await probes;
    await writer.stop();
    await daemon.stop();
    return this.#finish(context, daemon.output, await levelMaxTxid(paths.replica));
  }

  /** Stopped in good order, everything committed is on the replica. */
  async #finish(context: ProbeContext, log: string, txidMax: bigint): Promise<Run> {
    const output = join(this.#folder, 'final.db');
    await this.#program.restore(context.replica, output);
    const state = verifyRing(output);
    if (context.commits.get(state.txn)?.hash !== state.hash) throw new Error('the final state has another hash');
    if (context.commits.get(state.txn + 1) !== undefined) throw new Error(`the final state ends at ${state.txn}`);
    return {
      durationMs: this.#elapsedMs,
      commitCount: state.txn,
      txidMax,
      samples: this.#samples,
      byTxid: this.#byTxid,
      byTimestamp: this.#byTimestamp,
      log,
    };
  }

  async #probe(context: ProbeContext, signal: AbortSignal): Promise<void> {
    const { probeIntervalMs } = this.#options;
    for (let next = probeIntervalMs; ; next += probeIntervalMs) {
      while (this.#elapsedMs < next && !signal.aborted)
        await pause(Math.min(200, next - this.#elapsedMs), 'until the next proof is due');
      if (signal.aborted) return;
      const byTxid = await probeTxid(context);
      this.#byTxid.push(byTxid);
      const byTimestamp = await probeTimestamp(context);
      this.#byTimestamp.push(byTimestamp);
      for (const proof of [byTxid, byTimestamp]) {
        const minute = (this.#elapsedMs / 60_000).toFixed(1);
        const age = (proof.ageMs / 1000).toFixed(0);
        console.log(`${minute} min: ${proof.target}, ${age} s ago, is transaction ${proof.txn}: proven`);
      }
    }
  }
}

const options = optionsOf();
console.log(`soak: ${options.durationMs / 60_000} minutes, --seed ${options.seed}`);
await using folder = await temporaryFolder('soak');
try {
  const run = await new Soak(folder.path, options).run();
  console.log(`\n${figures(run)}\n`);
  for (const line of linesOf(run.log, 'WARN').slice(0, 20)) console.log(line);
  const broken = brokenBounds(run);
  for (const each of broken) console.log(`broken: ${each}`);
  console.log(broken.length === 0 ? 'soak: every bound held' : 'soak: FAILED');
  process.exitCode = broken.length === 0 ? 0 : 1;
} catch (error) {
  console.error(error);
  const kept = `${folder.path}-failed`;
  cpSync(folder.path, kept, { recursive: true });
  console.error(`soak: FAILED, --seed ${options.seed}; the files are in ${kept}`);
  process.exitCode = 1;
}
