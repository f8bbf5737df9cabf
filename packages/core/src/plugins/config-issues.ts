/**
 * The faults of a config in one line: the list of a schema library, field by field, or the message of any other error.
 */
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
