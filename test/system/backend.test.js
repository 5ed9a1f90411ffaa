// An EHR behind its own token wall, which only SMART Backend Services opens: the gateway's own, never a caller's token.

import assert from 'node:assert/strict';
import { generateKeyPairSync, verify } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { until } from './gateway.js';
import { Issuer } from './issuer.js';
import { World } from './world.js';

let world;
let wall; // the EHR's authorization server
const shown = new Set(); // tokens that opened the wall

// opens says whether a token is the authorization server's, for this EHR, for the gateway, and still good.
function opens(request) {
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const [head, body, signature] = token.split('.');
  if (!signature) {
    return false;
  }
  const read = (part) => JSON.parse(Buffer.from(part, 'base64url'));
  const key = wall.keys.find((k) => k.kid === read(head).kid);
  if (!key || !verify('sha256', Buffer.from(`${head}.${body}`), key.publicKey, Buffer.from(signature, 'base64url'))) {
    return false;
  }
  const claims = read(body);
  const good = claims.iss === wall.url && claims.aud === world.ehr.base && claims.client_id === 'halfdoor' &&
    claims.scope === 'system/*.rs' && claims.exp > Date.now() / 1000;
  if (good) {
    shown.add(token);
  }
  return good;
}

before(async () => {
  wall = await Issuer.start();
  world = await World.start((config) => {
    config.ehrs[0].oauth = { client_id: 'halfdoor', keys: ['keys/ehr.pem'], audience: wall.url, scopes: ['system/*.rs'], resource: config.ehrs[0].base_url };
  }, async ({ gateway, ehr }) => {
    const key = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    await writeFile(join(gateway.dir, 'keys', 'ehr.pem'), key.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    ehr.discovery = { token_endpoint: `${wall.url}/token` };
    ehr.wall = opens;
    wall.jwksURI = `${gateway.base}/.well-known/jwks.json`;
    wall.rotate('wall-1');
  });
});
after(async () => {
  await world?.stop();
  await wall?.stop();
});

test('the gateway comes in by the keys that it publishes, once for all callers', async () => {
  const callers = ['scheduling-a', 'scheduling-b', 'billing-a'];
  const answers = await Promise.all(callers.flatMap((as) => Array.from({ length: 6 }, () => world.call('/Location?_count=1', { as }))));
  for (const { status, text, json } of answers) {
    assert.equal(status, 200, text);
    assert.equal(json.entry.length, 1);
  }
  assert.equal(shown.size, 1, 'a token for each call');
  await world.clean();
});

test('nobody else does: not without a token, nor by a caller\'s', async () => {
  for (const headers of [{}, { Authorization: `Bearer ${await world.token('scheduling-a')}` }]) {
    const response = await fetch(`${world.ehr.base}/Location`, { headers });
    await response.body?.cancel();
    assert.equal(response.status, 401);
  }
  const callers = new Set(await Promise.all(['scheduling-a', 'scheduling-b', 'billing-a'].map((as) => world.token(as))));
  for (const { headers } of world.ehr.seen.filter((s) => s.headers['x-request-id'])) {
    assert.ok(!callers.has(headers.authorization?.slice('Bearer '.length)), 'the EHR was shown a caller\'s token');
  }
});

test('a token that the EHR takes no more is replaced', async () => {
  const [old] = shown;
  wall.rotate('wall-2');
  wall.rotate('wall-3'); // by whose set of keys the old token is nobody's
  const refused = [];
  await until('a new token', async () => { // one that is younger than a few seconds is kept, as the next would fare no better
    const answer = await world.call('/Location?_count=1', { as: 'scheduling-a' });
    return answer.status === 200 || (refused.push(answer), false);
  });
  assert.notEqual([...shown].at(-1), old);
  for (const a of refused.slice(0, 2)) {
    const [record] = await world.records(a.request);
    assert.deepEqual([a.status, record.kind, record.code], [502, 'refusal', 'ehr-refused']);
  }
});
