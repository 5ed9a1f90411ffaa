// Tokens as an authorization server that others wrote gives them: by private_key_jwt, bound by DPoP, opaque, for a SMART app
// by the authorization code with PKCE; and its keys rotated under load.

import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { rawIDOf } from './data.js';
import { until } from './gateway.js';
import { basic, callback, clients, introspectionKey, jwt } from './issuer.js';
import { World } from './world.js';

const bound = 2; // seconds that an introspection is believed

let world;
before(async () => {
  process.env.HALFDOOR_TEST_INTROSPECTION = JSON.stringify(introspectionKey);
  world = await World.start((config) => {
    config.issuers[0].introspection = { client_id: 'gateway', private_key: 'env:HALFDOOR_TEST_INTROSPECTION', cache: `${bound}s` };
    config.dpop = { require_nonce: true };
  });
});
after(() => world?.stop());

const works = async (token, path = '/Appointment?_count=2') => {
  const answer = await world.call(path, { token });
  assert.equal(answer.status, 200, answer.text);
  return answer;
};

const refusal = async (answer, code, status = 401) => {
  assert.deepEqual([answer.status, answer.json?.issue?.[0].details.coding[0].code], [status, code], answer.text);
  const [record] = await world.records(answer.request);
  assert.deepEqual([record.kind, record.status, record.code], ['refusal', status, code]);
};

test('client_credentials by private_key_jwt', async () => {
  const token = await world.issuer.token('keyed', world.base, { headers: {}, more: world.issuer.assertion() });
  const { request } = await works(token);
  const [record] = await world.records(request);
  assert.equal(record.actor.client, 'keyed');
});

test('a token that is bound by DPoP works with proofs of its own key, each once', async () => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  let nonce; // of the gateway's
  const prove = (method, url, token, key = pair) => jwt(
    { typ: 'dpop+jwt', alg: 'ES256', jwk: key.publicKey.export({ format: 'jwk' }) },
    { jti: randomUUID(), htm: method, htu: url, iat: Math.floor(Date.now() / 1000), ...(token && nonce ? { nonce } : {}), ...(token ? { ath: createHash('sha256').update(token).digest('base64url') } : {}) },
    key.privateKey, 'sha256');
  const token = await world.issuer.token('bound', world.base, {
    headers: { ...basic('bound'), DPoP: prove('POST', `${world.issuer.url}/token`) }, type: 'DPoP',
  });
  const path = '/Appointment?_count=2';
  const url = `${world.base}/Appointment`;
  const call = (proof, scheme = 'DPoP') => world.call(path, { headers: { Authorization: `${scheme} ${token}`, ...(proof ? { DPoP: proof } : {}) } });

  const first = await call(prove('GET', url, token));
  await refusal(first, 'dpop-nonce');
  assert.match(first.headers.get('www-authenticate'), /^DPoP .*error="use_dpop_nonce"/);
  nonce = first.headers.get('dpop-nonce');
  const proof = prove('GET', url, token);
  const answer = await call(proof);
  assert.equal(answer.status, 200, answer.text);
  assert.ok(answer.headers.get('dpop-nonce'), 'no nonce for the next call');
  const [record] = await world.records(answer.request);
  assert.deepEqual([record.actor.client, record.actor.binding], ['bound', 'dpop']);
  await refusal(await call(proof), 'dpop-replayed');
  await refusal(await call(prove('POST', url, token)), 'dpop-method');
  await refusal(await call(prove('GET', `${world.base}/Patient`, token)), 'dpop-url');
  await refusal(await call(prove('GET', url, 'another token')), 'dpop-token');
  await refusal(await call(prove('GET', url, token, generateKeyPairSync('ec', { namedCurve: 'P-256' }))), 'dpop-other-key');
  await refusal(await call(undefined), 'dpop-missing');
  const stolen = await call(undefined, 'Bearer');
  await refusal(stolen, 'token-binding');
  assert.equal((await world.records(stolen.request))[0].actor.client, 'bound');
});

test('an opaque token works until it is withdrawn, and no longer than the bound after that', async () => {
  const token = await world.issuer.token('opaque', world.base);
  assert.doesNotMatch(token, /\./);
  const { request } = await works(token);
  const [record] = await world.records(request);
  assert.deepEqual([record.actor.client, record.actor.roles], ['opaque', clients.opaque.claims.roles]);

  assert.equal((await world.issuer.post('/token/revocation', { token }, basic('opaque'))).status, 200);
  const withdrawn = Date.now();
  const last = await until('the refusal of a withdrawn token', async () => {
    const answer = await world.call('/Appointment?_count=2', { token });
    return answer.status === 200 ? undefined : answer;
  });
  await refusal(last, 'token-inactive');
  assert.ok(Date.now() - withdrawn < (bound + 5) * 1000, 'withdrawn, and believed for long');
  await refusal(await world.call('/Appointment', { token: 'never-given-out' }), 'token-inactive');
});

// authorize goes through the issuer's pages as a browser does, and returns what the app is told.
async function authorize(parameters) {
  const jar = new Map();
  let url = `${world.issuer.url}/auth?${new URLSearchParams(parameters)}`;
  for (let step = 0; step < 10 && !url.startsWith(callback); step++) {
    const response = await fetch(url, { redirect: 'manual', headers: { Cookie: [...jar].map(([k, v]) => `${k}=${v}`).join('; ') } });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      jar.set(name, value);
    }
    assert.ok(response.status === 302 || response.status === 303, `${url}: ${response.status} ${await response.text()}`);
    url = new URL(response.headers.get('location'), url).href;
  }
  return new URL(url).searchParams;
}

test('a SMART app: the authorization code with PKCE, and the raw ids of its own launch', async () => {
  const verifier = randomBytes(32).toString('base64url');
  const told = await authorize({
    client_id: 'app', response_type: 'code', redirect_uri: callback, scope: `openid ${clients.app.scope}`, state: 's', resource: world.base,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
  });
  assert.equal(told.get('error_description'), null);
  const exchange = (code_verifier) => world.issuer.post('/token', {
    grant_type: 'authorization_code', code: told.get('code'), redirect_uri: callback, client_id: 'app', code_verifier, resource: world.base,
  }, {});
  const response = await exchange(verifier);
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  await refusal(await world.call('/Appointment', { token: answer.id_token }), 'token-audience');

  const token = answer.access_token;
  const own = rawIDOf('Patient', 1);
  const patient = await works(token, `/Patient/${own}`);
  assert.notEqual(patient.json.id, own);
  assert.equal((await works(token, `/Patient/${patient.json.id}`)).json.id, patient.json.id);
  const raw = await works(token, `/Appointment?patient=${own}`);
  const byToken = await works(token, `/Appointment?patient=${patient.json.id}`);
  assert.deepEqual(raw.json.entry?.map((e) => e.resource.id), byToken.json.entry?.map((e) => e.resource.id));
  for (const answered of [patient, raw, byToken]) {
    assert.doesNotMatch(answered.text.replaceAll(`patient=${own}`, ''), /rawid-/);
  }
  // Nobody else's.
  await refusal(await world.call(`/Patient/${rawIDOf('Patient', 2)}`, { token }), 'not-found', 404);
  await refusal(await world.call(`/Patient/${own}`, { as: 'scheduling-a' }), 'not-found', 404);
});

test('keys are rotated under load, and no call fails', async () => {
  const used = new Set();
  let going = true;
  let calls = 0;
  const clientsUnderLoad = Array.from({ length: 6 }, async () => {
    while (going) {
      const token = await world.issuer.token('scheduling-a', world.base);
      used.add(JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).kid);
      await works(token, '/Location?_count=1');
      calls++;
    }
  });
  const load = Promise.all(clientsUnderLoad);
  try {
    for (const kid of ['signing-2', 'signing-3', 'signing-4']) {
      world.issuer.rotate(kid);
      const from = calls;
      await Promise.race([load, until(`calls by ${kid}`, () => used.has(kid) && calls > from + 12)]);
    }
  } finally {
    going = false;
  }
  await load;
  assert.deepEqual([...used].slice(-3), ['signing-2', 'signing-3', 'signing-4']);
});
