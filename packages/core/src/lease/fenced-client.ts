import type { Body, Op, ReplicaClient } from '../storage/contract/contract.ts';
import type { LitestreamError } from '../util/error.ts';

/** What limits the writes of a client. */
export interface WriteLimit {
  requireHeld(op?: Op): Promise<void>;
  /** Aborted, with `LEASE_LOST`, before the lease ends. */
  readonly signal: AbortSignal;
  /** The error to fail with if the lease has ended by the monotonic clock but its timer has not fired yet. */
  readonly overdue: LitestreamError | undefined;
}

/**
 * The same client, which writes and deletes LTX files only while the lease is held. Each call begins with a valid lease, is
 * aborted before the lease ends, and succeeds only if this process still holds the lease afterwards.
 */
export function fencedClient(client: ReplicaClient, limit: WriteLimit): ReplicaClient {
  const fenced = async <T>(op: Op | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    const own = op?.signal;
    await limit.requireHeld({ signal: own });
    const signals = own === undefined ? [limit.signal] : [own, limit.signal];
    const result = await work(AbortSignal.any(signals));
    await limit.requireHeld({ signal: own });
    return result;
  };
  const methods: Pick<ReplicaClient, 'writeLtxFile' | 'deleteLtxFiles' | 'deleteAll'> = {
    writeLtxFile: (file, body, op) =>
      fenced(op, (signal) => client.writeLtxFile(file, watched(body, limit), { ...op, signal })),
    deleteLtxFiles: (files, op) => fenced(op, (signal) => client.deleteLtxFiles(files, { ...op, signal })),
    deleteAll: (op) => fenced(op, (signal) => client.deleteAll({ ...op, signal })),
  };
  return new Proxy(client, {
    get(target, name) {
      if (Object.hasOwn(methods, name)) return methods[name as keyof typeof methods];
      // Private fields of the client work only if `this` is the client itself.
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** A process that was stopped sends no further chunk, even if the timer of its lease fires late. */
function watched(body: Body, limit: WriteLimit): Body {
  return {
    ...body,
    async *open() {
      for await (const chunk of body.open()) {
        if (limit.overdue !== undefined) throw limit.overdue;
        yield chunk;
      }
    },
  };
}
