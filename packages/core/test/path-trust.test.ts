import { describe, expect, it } from 'vitest';
import { isPrivate } from '../src/files/path-trust.ts';

const rows = (text: string): string[][] => text.split('\n').map((line) => line.trim().split(':'));
const users = rows(
  'root:x:0:0::/root:/bin/sh\noperator:x:11:0::/root:/sbin/nologin\nalice:x:1000:1000\nbob:x:1001:1000',
);

describe('a group that may write to a file of a user is private', () => {
  const cases: readonly [string, string, number, number, boolean][] = [
    ['of no other member', 'carol:x:1002:', 1002, 1002, true],
    ['of the user and root alone', 'team:x:50:root,alice', 50, 1000, true],
    ['with another member', 'team:x:50:alice,bob', 50, 1000, false],
    ['that is the primary group of another user', 'alice:x:1000:', 1000, 1000, false],
    ['of root', 'root:x:0:', 0, 0, true],
    ['of root, with a member', 'root:x:0:alice', 0, 0, false],
    ['of root, with the owner of the file', 'root:x:0:alice', 0, 1000, true],
    ['of root, that is not listed', '', 0, 0, true],
    ['with the number of the user, that is not listed', '', 2000, 2000, true],
    ['with another number, that is not listed', '', 2000, 2001, false],
  ];
  it.each(cases)('%s', (_, groups, gid, uid, isTrusted) => {
    expect(isPrivate(gid, uid, { users, groups: rows(groups) })).toBe(isTrusted);
  });
});
