// Every answer of the gateway that any client in this process receives, kept to be looked at.

import { createRequire } from 'node:module';

export const exchanges = [];
const reading = [];

function tapped(real) {
  return async function fetch(input, init) {
    const response = await real.call(this, input, init);
    const url = typeof input === 'string' ? input : input.url ?? String(input);
    const headers = new Headers(init?.headers ?? (typeof input === 'object' ? input.headers : undefined));
    const token = headers.get('authorization')?.replace(/^(Bearer|DPoP) /, '');
    reading.push(response.clone().text().then(
      (body) => exchanges.push({ url, token, status: response.status, headers: [...response.headers].flat().join('\n'), body }),
      () => {})); // an answer that was cut is looked at by the test that cut it
    return response;
  };
}

// tap must be called before a client library is loaded: fhirclient takes its fetch from cross-fetch.
export function tap() {
  globalThis.fetch = tapped(globalThis.fetch);
  const cross = createRequire(import.meta.url)('cross-fetch');
  cross.fetch = tapped(cross.fetch);
}

// received are the answers since the last call.
export async function received() {
  await Promise.all(reading.splice(0));
  return exchanges.splice(0);
}
