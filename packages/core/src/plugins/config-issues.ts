/** What is wrong with a config, in one line: a schema library lists it field by field, anything else has a message. */
export function configIssues(error: unknown): string {
  const { issues, message } = (error ?? {}) as { issues?: unknown; message?: unknown };
  if (!Array.isArray(issues)) return typeof message === 'string' ? message : String(error);
  return issues
    .map((issue: { path?: unknown; message?: unknown }) => {
      const path = Array.isArray(issue.path) ? issue.path.join('.') : '';
      const text = typeof issue.message === 'string' ? issue.message : 'invalid';
      return path === '' ? text : `${path}: ${text}`;
    })
    .join('; ');
}
