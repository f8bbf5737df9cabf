/** The tools: upstream's, by name and argument. Each is a command of the CLI. */
import { z } from 'zod';
import type { McpServer, CallToolResult } from '@modelcontextprotocol/server';
import { isReplicaUrl } from '../config/paths.ts';
import { answer, failure, reasonOf, success } from './answer.ts';
import type { CommandRunner } from './command.ts';

export interface ToolsOptions {
  /** The config that the daemon runs with. */
  readonly configPath: string;
  /** The daemon was told to leave variables in the config as they are. */
  readonly noExpandEnv: boolean;
  readonly commands: CommandRunner;
}

const config = z.string().optional().describe('Path of the config file. Defaults to the one the daemon runs with.');
/** What begins with a dash would be taken for a flag. */
const word = z.string().min(1).regex(/^[^-]/, 'must not begin with -');
const databaseOrUrl = word.describe('Path of a database in the config, or a replica URL.');

/** Rejects arguments that no tool has: a misspelt one would silently restore something else. */
const schemas = {
  info: z.strictObject({ config }),
  databases: z.strictObject({ config }),
  restore: z.strictObject({
    path: databaseOrUrl,
    o: z.string().min(1).optional().describe('Path of the restored database. Defaults to the path of the database.'),
    config,
    txid: z.string().optional().describe('Restore up to this transaction, 16 hex digits.'),
    timestamp: z.string().optional().describe('Restore to this point in time, RFC 3339.'),
    parallelism: z.string().optional().describe('Number of files that are fetched at the same time.'),
    if_db_not_exists: z.boolean().optional().describe('Succeed without restoring if the database exists already.'),
    if_replica_exists: z.boolean().optional().describe('Succeed without restoring if there is no backup.'),
  }),
  ltx: z.strictObject({ path: databaseOrUrl, config }),
  version: z.strictObject({}),
  status: z.strictObject({ config, path: word.optional().describe('Only this database.') }),
  reset: z.strictObject({ path: word.describe('Path of the database whose local state is removed.'), config }),
};

export function registerTools(server: McpServer, options: ToolsOptions): void {
  const { commands, configPath, noExpandEnv } = options;
  /** A replica URL needs no config, and the commands refuse one beside it. */
  const configFlags = (chosen: string | undefined, path = ''): string[] =>
    isReplicaUrl(path) ? [] : [`-config=${chosen ?? configPath}`, ...(noExpandEnv ? ['-no-expand-env'] : [])];
  const flag = (name: string, value: string | boolean | undefined): string[] =>
    value === undefined ? [] : [`-${name}=${value}`];
  const readOnly = { readOnlyHint: true };

  server.registerTool(
    'litestream_info',
    {
      description: 'A summary: version, config, databases with their replicas, and the LTX files of each database.',
      inputSchema: schemas.info,
      annotations: readOnly,
    },
    async (args, { mcpReq: { signal } }) => info(options, configFlags(args.config), args.config ?? configPath, signal),
  );
  server.registerTool(
    'litestream_databases',
    {
      description: 'Lists the databases of the config file and their replicas.',
      inputSchema: schemas.databases,
      annotations: readOnly,
    },
    async (args, { mcpReq: { signal } }) =>
      answer(await commands.run(['databases', ...configFlags(args.config)], signal)),
  );
  server.registerTool(
    'litestream_restore',
    {
      description: 'Restores a database from a replica. It never overwrites a database that exists.',
      inputSchema: schemas.restore,
      annotations: { destructiveHint: false },
    },
    async (args, { mcpReq: { signal } }) =>
      answer(
        await commands.run(
          [
            'restore',
            ...flag('o', args.o),
            ...configFlags(args.config, args.path),
            ...flag('txid', args.txid),
            ...flag('timestamp', args.timestamp),
            ...flag('parallelism', args.parallelism),
            ...flag('if-db-not-exists', args.if_db_not_exists),
            ...flag('if-replica-exists', args.if_replica_exists),
            args.path,
          ],
          signal,
        ),
      ),
  );
  server.registerTool(
    'litestream_ltx',
    {
      description: 'Lists the LTX files of a replica, by database path or replica URL.',
      inputSchema: schemas.ltx,
      annotations: readOnly,
    },
    async (args, { mcpReq: { signal } }) =>
      answer(await commands.run(['ltx', ...configFlags(args.config, args.path), args.path], signal)),
  );
  server.registerTool(
    'litestream_version',
    { description: 'The version of Litestream.', inputSchema: schemas.version, annotations: readOnly },
    async (_, { mcpReq: { signal } }) => answer(await commands.run(['version'], signal)),
  );
  server.registerTool(
    'litestream_status',
    {
      description: 'How far the databases are replicated: status, local transaction and size of the log.',
      inputSchema: schemas.status,
      annotations: readOnly,
    },
    async (args, { mcpReq: { signal } }) =>
      answer(await commands.run(['status', ...configFlags(args.config), ...(args.path ? [args.path] : [])], signal)),
  );
  server.registerTool(
    'litestream_reset',
    {
      description:
        'Removes the local Litestream state of a database, so that the next sync takes a new snapshot. The database itself is not touched.',
      inputSchema: schemas.reset,
      annotations: { destructiveHint: true },
    },
    async (args, { mcpReq: { signal } }) =>
      answer(await commands.run(['reset', ...configFlags(args.config), args.path], signal)),
  );
}

/** Databases whose files are listed; a report of more would be read by nobody. */
const LISTED_MAX = 100;

async function info(
  { commands }: ToolsOptions,
  configFlags: readonly string[],
  path: string,
  signal: AbortSignal,
): Promise<CallToolResult> {
  const version = await commands.run(['version'], signal);
  const databases = await commands.run(['databases', ...configFlags], signal);
  if (databases.exitCode !== 0) return failure(`Failed to get databases info: ${reasonOf(databases)}`, [databases]);
  const sections = [
    '=== Litestream Status Report ===',
    `Version Information:\n${version.stdout}`,
    `Current Config Path:\n${path}`,
    `Databases:\n${databases.stdout}`,
    'LTX Files:',
  ];
  const listed = await commands.run(['databases', '-json', ...configFlags], signal);
  if (listed.exitCode !== 0) return failure(`Failed to get databases info: ${reasonOf(listed)}`, [listed]);
  const names = z.array(z.object({ path: z.string() })).parse(JSON.parse(listed.stdout));
  const paths = [...new Set(names.map((each) => each.path))];
  for (const each of paths.slice(0, LISTED_MAX)) {
    const files = await commands.run(['ltx', ...configFlags, each], signal);
    const failed = `Failed to get LTX files for ${each}: ${reasonOf(files)}`;
    sections.push(files.exitCode === 0 ? `Database: ${each}\n${files.stdout}` : failed);
  }
  if (paths.length > LISTED_MAX) sections.push(`… and ${paths.length - LISTED_MAX} more databases`);
  return success(`${sections.map((each) => each.trimEnd()).join('\n\n')}\n`, [databases]);
}
