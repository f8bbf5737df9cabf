/** The config reference in Markdown: one table for each section, made from the schema that reads configs. */
import { z } from 'zod';
import { EDITOR_TYPE } from './scalars.ts';
import { configSchema, databaseSchema, replicaSchema, replicaSettings } from './schema.ts';

interface Section {
  readonly title: string;
  readonly about: string;
  readonly shape: Readonly<Record<string, z.ZodType>>;
}

const { type, path, url, ...restOfReplica } = replicaSchema.shape;

const SECTIONS: readonly Section[] = [
  {
    title: 'Top level',
    about:
      'Every replica setting below may stand here too, as the default of all replicas. A section’s keys are shown as `section.key`.',
    shape: without(configSchema.shape, replicaSettings),
  },
  { title: 'Databases', about: 'Each entry of `dbs`.', shape: without(databaseSchema.shape, {}) },
  {
    title: 'Replicas',
    about: 'A database’s `replica`, or each entry of its `replicas`. A backend ignores the keys of others.',
    shape: { type, path, url, ...restOfReplica },
  },
];

/** Markdown. */
export function configReference(): string {
  const parts = SECTIONS.map(({ title, about, shape }) => {
    const rows = Object.entries(shape).flatMap(([key, schema]) => rowsOf(key, schema));
    return `## ${title}\n\n${about}\n\n| key | value | meaning |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
  });
  return parts.join('\n');
}

function rowsOf(key: string, schema: z.ZodType): string[] {
  const inner = unwrapped(schema);
  if (key === 'dbs' || key === 'replica' || key === 'replicas') return [row(key, 'section', schema)];
  if (inner instanceof z.ZodObject) {
    const about = schema.description === undefined ? [] : [row(key, 'section', schema)];
    return [
      ...about,
      ...Object.entries(inner.shape).flatMap(([name, each]) => rowsOf(`${key}.${name}`, each as z.ZodType)),
    ];
  }
  if (inner instanceof z.ZodArray) {
    const element = unwrapped(inner.element as z.ZodType);
    if (!(element instanceof z.ZodObject)) return [row(key, 'list', schema)];
    const about = [row(key, 'list', schema)];
    return [
      ...about,
      ...Object.entries(element.shape).flatMap(([name, each]) => rowsOf(`${key}[].${name}`, each as z.ZodType)),
    ];
  }
  return [row(key, kindOf(schema, inner), schema)];
}

function row(key: string, kind: string, schema: z.ZodType): string {
  const about = schema.description ?? unwrapped(schema).description ?? '';
  return `| \`${key}\` | ${kind} | ${about.replaceAll('|', String.raw`\|`)} |`;
}

function kindOf(schema: z.ZodType, inner: z.ZodType): string {
  const meta = schema.meta() ?? inner.meta() ?? {};
  const words = meta['enum'];
  if (Array.isArray(words)) return words.join(', ');
  const kind = meta[EDITOR_TYPE];
  if (kind === 'boolean') return 'true, false';
  if (kind === 'octal') return 'octal number';
  if (kind === 'switch') return 'true, false, section';
  if (typeof kind === 'string') return kind;
  return inner instanceof z.ZodNumber ? 'number' : 'text';
}

function unwrapped(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodOptional ? unwrapped(schema.unwrap() as z.ZodType) : schema;
}

function without(
  shape: Readonly<Record<string, z.ZodType>>,
  left: Readonly<Record<string, unknown>>,
): Readonly<Record<string, z.ZodType>> {
  return Object.fromEntries(Object.entries(shape).filter(([key]) => !Object.hasOwn(left, key)));
}
