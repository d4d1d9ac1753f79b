/**
 * `acme-client`, set up for this platform: its requests go through undici, with a limit of time and the authority's CA;
 * refusals are errors with the authority's own words, and nothing is repeated behind our back.
 */
import type { Client } from 'acme-client';
import { readFile } from 'node:fs/promises';
import type { Dispatcher } from 'undici';
import { AuthorityError, problemOf } from './problem.ts';

export type AcmeClient = Client;

const timeoutMs = 30_000;
const maxAnswerBytes = 1 << 20;

export interface Connection {
  directory: string;
  /** File (PEM) of the authority's own CA, where that is not a public one. */
  ca: string | undefined;
  account: { key: string; url: string | null };
}

/** @throws nothing yet: the first request tells */
export async function openClient({ directory, ca, account }: Connection): Promise<AcmeClient> {
  const { Client } = await library(ca);
  return new Client({
    directoryUrl: directory,
    accountKey: account.key,
    ...(account.url === null ? {} : { accountUrl: account.url }),
  });
}

/** A certificate signing request (PEM) for one name. */
export async function signingRequest(host: string, key: string): Promise<Buffer> {
  const { crypto } = await import('acme-client');
  const [, csr] = await crypto.createCsr({ altNames: [host] }, key);
  return csr;
}

/** What of axios's interface the library's requests and answers need. */
interface Outgoing {
  url: string;
  method: string;
  data?: string;
  headers: { toJSON: () => Record<string, string> };
}

let present: { ca: string | undefined } | undefined;

/** Loaded at the first use: most platforms never need it. */
async function library(ca: string | undefined) {
  const acme = await import('acme-client');
  if (present && present.ca === ca) return acme;
  const { Agent } = await import('undici');
  const dispatcher = new Agent({
    maxResponseSize: maxAnswerBytes,
    ...(ca === undefined ? {} : { connect: { ca: await readAuthority(ca) } }),
  });
  present = { ca };
  acme.axios.defaults.adapter = (config) => send(config as unknown as Outgoing, dispatcher) as never;
  return acme;
}

async function readAuthority(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new AuthorityError(`the file of the authority's CA (${path}) cannot be read: ${reasonOf(cause)}`, { cause });
  }
}

/** @throws AuthorityError for whatever is no answer, or a refusal */
async function send(config: Outgoing, dispatcher: Dispatcher): Promise<unknown> {
  const { request } = await import('undici');
  const { url, method, data, headers } = config;
  const { host } = new URL(url);
  try {
    const answer = await request(url, {
      method: method.toUpperCase() as 'GET',
      headers: headers.toJSON(),
      ...(data === undefined ? {} : { body: data }),
      signal: AbortSignal.timeout(timeoutMs),
      dispatcher,
    });
    const text = await answer.body.text();
    const problem = answer.statusCode < 400 ? null : problemOf(host, answer.statusCode, answer.headers, text);
    // A nonce that was used up is for the library to repeat (RFC 8555, 6.5).
    if (problem && problem.type !== 'badNonce') throw problem;
    return { data: text, status: answer.statusCode, statusText: '', headers: answer.headers, config, request: null };
  } catch (error) {
    if (error instanceof AuthorityError) throw error;
    throw new AuthorityError(`${host} cannot be asked: ${reasonOf(error)}`, { cause: error });
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${timeoutMs / 1000} s`;
  return error.message === '' && 'code' in error ? String(error.code) : error.message;
}
