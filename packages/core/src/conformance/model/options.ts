import type { ReplicaClient } from '../../storage/contract/contract.ts';
import type { Variation } from './case.ts';
import type { Report } from './report.ts';

/** What makes a suite of an adapter's own: the runner, and clients. */
export interface ConformanceOptions {
  /** Name of the adapter, for the titles of tests and reports: `s3 on moto`. */
  readonly name: string;
  /** The runner's own. */
  readonly describe: (name: string, define: () => void) => unknown;
  /** The runner's own. Let it give a test a minute (`vi.setConfig({ testTimeout: 60_000 })`, `--timeout 60000`). */
  readonly it: (name: string, run: () => Promise<void>) => unknown;
  /**
   * A new client, not initialised, for the replica at `place`: a path with slashes, at times with spaces and unicode.
   * The same place is the same replica; places never lie inside one another, but may begin with the same letters.
   */
  readonly client: (place: string) => ReplicaClient | Promise<ReplicaClient>;
  /** A client for a `place` that the server refuses. Left out where there are no credentials. */
  readonly wrongCredentials?: ((place: string) => ReplicaClient | Promise<ReplicaClient>) | undefined;
  /** A client whose bucket, container or stream does not exist. Left out where there is none to be missing. */
  readonly missingBucket?: ((place: string) => ReplicaClient | Promise<ReplicaClient>) | undefined;
  /** A client for a port where nothing listens. Left out where there is no network. */
  readonly unreachable?: ((place: string) => ReplicaClient | Promise<ReplicaClient>) | undefined;
  /** Determines faults and contents. Default: `SEED` of the environment, or else a random one; it is printed. */
  readonly seed?: number | undefined;
  /** Default: all four. */
  readonly variations?: readonly Variation[] | undefined;
  /** Files in the cases about many. Default 2,500 (1,100 in repetitions): more than two pages of any backend. */
  readonly fileCount?: number | undefined;
  /** Files in the cases that list many, where a server with small pages needs fewer. Default `fileCount`. */
  readonly listCount?: number | undefined;
  /** Bytes of the largest object; its case runs only if this is given. 5 GiB is the size at which backends differ. */
  readonly largeSize?: number | undefined;
  /** Longest time of one case in milliseconds. Default 60,000; the case about a very large object has none. */
  readonly timeoutMs?: number | undefined;
  /** How many cases must run, repetitions included. What the summary printed goes here, so that it cannot shrink. */
  readonly runCount?: number | undefined;
  /** Called with the results at the end. */
  readonly onReport?: ((report: Report) => void | Promise<void>) | undefined;
  /** Where the summary goes. Default `console.log`. */
  readonly print?: ((text: string) => void) | undefined;
}
