/** Signs raw requests to S3 (version 4), as what the test server checks them with says they must be. */
import { createHash } from 'node:crypto';

import { signatureOf } from '../../../packages/client-s3/test/signature.ts';
import type { Question } from './transcript.ts';

export interface S3Login {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

/** The question with the headers that sign it. Those it brings along are kept, and signed too. */
export function signed(question: Question, login: S3Login, nowMs: number = Date.now()): Question {
  const { method, url, body = '' } = question;
  const date = new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = [date.slice(0, 8), login.region, 's3', 'aws4_request'];
  const headers: Record<string, string> = {
    host: new URL(login.endpoint).host,
    'x-amz-date': date,
    'x-amz-content-sha256': createHash('sha256').update(body).digest('hex'),
    ...question.headers,
  };
  const signedHeaders = Object.keys(headers).sort().join(';');
  const { secretAccessKey } = login;
  const signature = signatureOf({ method, url, headers }, { date, scope, signedHeaders, secretAccessKey });
  const credential = `${login.accessKeyId}/${scope.join('/')}`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signedHeaders}, Signature=${signature}`;
  return { ...question, headers: { ...headers, authorization } };
}
