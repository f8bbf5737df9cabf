import ssh2 from 'ssh2';

/**
 * A new Ed25519 key. ssh2 drops the last byte of a key that ends in a zero, one in 256, and then cannot read what it
 * made: such a pair is thrown away.
 */
export function newKeyPair(): { readonly private: string; readonly public: string } {
  for (let attempt = 0; attempt < 10; attempt++) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519');
    const readable = [pair.private, pair.public].every((key) => !(ssh2.utils.parseKey(key) instanceof Error));
    if (readable) return pair;
  }
  throw new Error('ssh2 made ten key pairs and could read none of them');
}
