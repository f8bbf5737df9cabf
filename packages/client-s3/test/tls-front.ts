/** TLS before a test server, with a certificate of its own that nobody trusts. */
import { once } from 'node:events';
import { type AddressInfo, type Socket, connect } from 'node:net';
import { createServer } from 'node:tls';

// Made for this test, for localhost, valid for a century; the key protects nothing.
const KEY =
  'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLTe8MiB28HmJEVOHBNMAWd5Sj2aeROd20xXbj72Bxl+hRANCAATeU/csUjBCRrvEtxvNXpAGAadFVg23yylVTvOptgq7cIHZi1/0wd2RpE5BBw7FM6lF4IjwN0h4AzCyTmv7Pt3j';
const CERTIFICATE =
  'MIIBmjCCAUGgAwIBAgIUH8Ld+d6ZOPhLE1CnOVhMGAmfvcswCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDEwNTkwNFoYDzIxMjYxMDMxMTA1OTA0WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATeU/csUjBCRrvEtxvNXpAGAadFVg23yylVTvOptgq7cIHZi1/0wd2RpE5BBw7FM6lF4IjwN0h4AzCyTmv7Pt3jo28wbTAdBgNVHQ4EFgQUNHuuVJb2i0HTDc1Yq40iroFVT08wHwYDVR0jBBgwFoAUNHuuVJb2i0HTDc1Yq40iroFVT08wDwYDVR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZIzj0EAwIDRwAwRAIgI0hKw04I5dQrZ2Eg+0UlsOF3WkyCUS++qkQ5irfoOS0CIF//OZOChJNkS9DAH8C155pPJr7Izbgsnw++zrkPeWd/';

/** The certificate of every front: its own authority. */
export const frontCertificate: string = pem('CERTIFICATE', CERTIFICATE);

export interface TlsFront extends AsyncDisposable {
  readonly endpoint: string;
}

/** Listens on loopback and passes on what arrives. */
export async function startTlsFront(target: string): Promise<TlsFront> {
  const port = Number(new URL(target).port);
  const sockets = new Set<Socket>();
  const server = createServer({ key: pem('PRIVATE KEY', KEY), cert: pem('CERTIFICATE', CERTIFICATE) }, (socket) => {
    const inner = connect(port, '127.0.0.1');
    socket.on('error', () => inner.destroy());
    inner.on('error', () => socket.destroy());
    socket.pipe(inner).pipe(socket);
    socket.on('close', () => inner.destroy());
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function pem(kind: string, base64: string): string {
  return `-----BEGIN ${kind}-----\n${base64.replace(/.{64}/g, '$&\n')}\n-----END ${kind}-----\n`;
}
