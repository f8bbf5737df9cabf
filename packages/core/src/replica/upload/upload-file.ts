import { formatTxid } from '@litestream/ltx';
import type { Body, LtxFileInfo, LtxFileRef, ReplicaClient, WriteOptions } from '../../storage/contract/contract.ts';
import type { Logger } from '../../util/logger.ts';
import { traced } from '../../util/tracing.ts';

/** Writes one LTX file to a replica, and reports it. */
export async function uploadFile(
  client: ReplicaClient,
  file: LtxFileRef & { readonly timestamp: Date; readonly body: Body },
  { logger, ...options }: { readonly logger: Logger } & WriteOptions,
): Promise<LtxFileInfo> {
  const { body, ...named } = file;
  const { level, minTxid, maxTxid } = file;
  const facts = (): Record<string, unknown> => ({ replica: client.type, level, minTxid, maxTxid, size: body.size });
  const info = await traced('upload', facts, () => client.writeLtxFile(named, body, options));
  logger.debug('ltx file uploaded', {
    level: info.level,
    minTXID: formatTxid(info.minTxid),
    maxTXID: formatTxid(info.maxTxid),
    size: info.size,
  });
  return info;
}
