import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { generatedFiles } from '../src/config/schema/generated-files.ts';
import { configJsonSchema } from '../src/config/schema/json-schema.ts';
import { parseConfig } from '../src/config/load.ts';
import { configSchema, databaseSchema, replicaSchema } from '../src/config/schema/schema.ts';

const validate = new Ajv2020({ allErrors: true, allowUnionTypes: true }).compile(configJsonSchema());

function problems(yaml: string): string[] {
  // Editors read YAML 1.2.
  validate(parse(yaml));
  return (validate.errors ?? []).map(({ instancePath, params }) => {
    const extra = params['additionalProperty'];
    return extra === undefined ? instancePath : `${instancePath}/${String(extra)}`;
  });
}

test.each(generatedFiles(new URL('../', import.meta.url)))('$url.pathname is up to date', ({ url, content }) => {
  expect(readFileSync(url, 'utf8'), 'run `npm run docs`').toBe(content);
});

test('every key says what it means', () => {
  const shapes = [configSchema.shape, databaseSchema.shape, replicaSchema.shape];
  const sections = new Set(['socket', 'snapshot', 'validation', 'drill', 'retention', 'logging', 'replica']);
  const silent = shapes.flatMap((shape) =>
    Object.entries(shape)
      .filter(
        ([key, schema]) => !sections.has(key) && (schema.description ?? schema.unwrap().description) === undefined,
      )
      .map(([key]) => key),
  );
  expect(silent).toEqual([]);
});

describe('the schema for editors', () => {
  test.each([
    [
      'durations, sizes and numbers in any notation',
      'sync-interval: 1h30m\nl0-retention: 300000000000\npart-size: 5MB\n',
    ],
    ['text that looks like a number', 'dbs: [{path: 12, replica: {type: s3, access-key-id: 0123, bucket: 5}}]\n'],
    ['YAML 1.1', 'verify-compaction: yes\nsocket: {permissions: 0600}\n'],
    ['variables', 'dbs: [{path: $DB, replica: {url: $URL, sync-interval: $INTERVAL, concurrency: $N}}]\n'],
    ['keys of a plugin', 'plugins: [./redis.js]\ndbs: [{path: a, replica: {type: redis, shard: 4}}]\n'],
    ['a lease', 'lease: on\ndbs: [{path: a, replica: {path: /x, lease: {ttl: 10s, owner: web}}}]\n'],
    ['several replicas', 'dbs: [{path: a, replicas: [{path: /x}, {url: "gs://b/p"}]}]\n'],
  ])('takes %s, as the program does', (_, yaml) => {
    expect(problems(yaml)).toEqual([]);
    const filled = yaml
      .replace('$INTERVAL', '5s')
      .replace('$N', '3')
      .replaceAll(/\$(DB|URL)/g, '/tmp/x');
    expect(parseConfig(filled, { file: 'a.yml', expandEnv: false }).warnings).toEqual([]);
  });

  test.each([
    ['a key that does not exist', 'dbss: []\n', '/dbss'],
    ['a key in the wrong place', 'dbs: [{path: a, bucket: b}]\n', '/dbs/0/bucket'],
    ['a duration without sense', 'sync-interval: soon\n', '/sync-interval'],
    ['a word where true or false is meant', 'verify-compaction: maybe\n', '/verify-compaction'],
    ['a lease with an unknown key', 'lease: {term: 3s}\n', '/lease/term'],
    ['a log level', 'logging: {level: loud}\n', '/logging/level'],
    ['a list that is none', 'dbs: 5\n', '/dbs'],
  ])('marks %s', (_, yaml, place) => {
    expect(problems(yaml)).toContain(place);
  });
});
