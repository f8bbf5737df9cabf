/** The config as a JSON Schema, for editors that complete and check YAML. */
import { z } from 'zod';
import { EDITOR_TYPE } from './scalars.ts';
import { configSchema } from './schema.ts';

/** URL of the published schema, for `# yaml-language-server: $schema=…`. */
export const SCHEMA_URL = 'https://unpkg.com/@litestream/cli/schema/litestream.schema.json';

type Json = Record<string, unknown>;

/** What the parser accepts beyond the type of a key: YAML reads digits as a number, and YAML 1.1 reads `yes` as true. */
const EDITOR_TYPES: Readonly<Record<string, Json>> = {
  text: { type: ['string', 'number'] },
  boolean: { type: ['boolean', 'string'], enum: [true, false, 'yes', 'no', 'on', 'off'] },
  duration: {
    type: ['string', 'integer'],
    pattern: String.raw`^[-+]?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$|^\$|^[0-9]+$`,
    examples: ['30s', '5m', '24h'],
  },
  size: { type: ['string', 'integer'], examples: ['5MB', '64MiB'] },
};

/** Draft 2020-12. Unknown keys are refused except in replicas, whose plugins may have their own. */
export function configJsonSchema(): Json {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      const json = jsonSchema as Json;
      const kind = json[EDITOR_TYPE];
      // An optional section is visited twice, the second time without its mark.
      if (typeof json['additionalProperties'] === 'object') json['additionalProperties'] = kind === 'open';
      // An environment variable may stand in place of a number.
      if (json['type'] === 'integer') Object.assign(json, { type: ['integer', 'string'], pattern: String.raw`^\$` });
      if (typeof kind === 'string') Object.assign(json, EDITOR_TYPES[kind]);
      if (kind === 'octal') Reflect.deleteProperty(json, 'maximum');
      Reflect.deleteProperty(json, EDITOR_TYPE);
    },
  });
  return { $id: SCHEMA_URL, title: 'Litestream configuration', ...schema };
}
