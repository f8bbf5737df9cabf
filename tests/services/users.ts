import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';

/** Every Unix has it, and it owns nothing. Not `nobody`: where systemd answers for that one, nobody may log in as it. */
const NAME = 'daemon';

/** Whom a server runs as: this user, or where that is root, one without rights. */
export function unprivileged(): { name: string; ids: { uid: number; gid: number } | undefined } {
  const { username, uid } = userInfo();
  if (uid !== 0) return { name: username, ids: undefined };
  const [, ids] = new RegExp(`^${NAME}:[^:]*:(\\d+:\\d+):`, 'm').exec(readFileSync('/etc/passwd', 'utf8')) ?? [];
  if (ids === undefined) throw new Error(`there is no user ${NAME} to run servers as`);
  const [own, group] = ids.split(':');
  return { name: NAME, ids: { uid: Number(own), gid: Number(group) } };
}
