// An EHR behind its own token wall, which only SMART Backend Services opens: the gateway's own, never a caller's token, by a
// key that can be rotated under load.

import assert from 'node:assert/strict';
import { generateKeyPairSync, verify } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse, stringify } from 'yaml';
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

// newKey makes a key of the gateway's own.
const newKey = (n, gateway = world.gateway) => writeFile(join(gateway.dir, 'keys', `ehr-${n}.pem`),
  generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });

before(async () => {
  wall = await Issuer.start();
  world = await World.start((config) => {
    const [main] = config.ehrs;
    const oauth = (key) => ({ client_id: 'halfdoor', keys: [key], audience: wall.url, scopes: ['system/*.rs'], resource: main.base_url });
    config.ehrs.push({ ...main, name: 'bare', path: '/bare' }, { ...main, name: 'stranger', path: '/stranger', oauth: oauth('keys/ehr-0.pem') });
    main.oauth = oauth('keys/ehr-1.pem');
  }, async ({ gateway, ehr }) => {
    await newKey(0, gateway);
    await newKey(1, gateway);
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

const refusal = async (answer, status, code) => {
  assert.deepEqual([answer.status, answer.json?.issue?.[0].details.coding[0].code], [status, code], answer.text);
  const [record, ...more] = await world.records(answer.request);
  assert.deepEqual([record.kind, record.status, record.code, record.subjects, more.length], ['refusal', status, code, undefined, 0]);
};

test('without Backend Services, or with a key that is not published, each call is a 502 with its record', async () => {
  for (const [path, code] of [['/bare', 'ehr-refused'], ['/stranger', 'ehr-token-refused']]) {
    await refusal(await world.call(`${world.gateway.origin}${path}/Location?_count=1`, { as: 'scheduling-a' }), 502, code);
  }
  await world.clean();
});

test('a token that the EHR takes no more is replaced', async () => {
  const [old] = shown;
  wall.life = 4; // of the one in its place
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

const ask = () => world.call('/Location?_count=1', { as: 'scheduling-a' });
const published = async () => (await (await fetch(`${world.base}/.well-known/jwks.json`)).json()).keys.map((k) => k.kid);

// signs has the gateway sign with the first of these keys and publish all, by a change of its configuration.
async function signs(...numbers) {
  const config = parse(await readFile(world.gateway.config, 'utf8'));
  config.ehrs[0].oauth.keys = numbers.map((n) => `keys/ehr-${n}.pem`);
  const before = String(await published());
  await writeFile(world.gateway.config, stringify(config));
  await until('the keys to be published', async () => String(await published()) !== before);
  return published();
}

test('the gateway\'s key is rotated under load, and no call fails', async () => {
  let ended = false;
  let calls = 0;
  const failures = [];
  const load = Array.from({ length: 4 }, async () => {
    while (!ended) {
      const { status, text } = await ask();
      calls++;
      if (status !== 200) {
        failures.push(text);
      }
    }
  });
  try {
    for (const n of [2, 3]) {
      await newKey(n);
      const both = await signs(n - 1, n); // published, and signs nothing yet
      assert.equal(both.length, 2);
      wall.rotate(`wall-${n + 2}`); // the server forgets what it kept of the gateway's keys, and looks again
      const [kid] = await signs(n, n - 1);
      assert.equal(kid, both[1]);
      await until('the new key to sign', () => wall.asserted.at(-1) === kid);
      assert.deepEqual(await signs(n), [kid]); // the old one is dropped
    }
    const had = calls;
    await until('calls to go on', () => calls > had + 20);
  } finally {
    ended = true;
    await Promise.all(load);
  }
  assert.deepEqual(failures.slice(0, 3), []);
  assert.ok(new Set(wall.asserted).size >= 3, `signed by ${wall.asserted}`);
  await world.clean();
});

test('while the authorization server is down, the token that is held goes on to its end', async () => {
  assert.equal((await ask()).status, 200);
  wall.handle = (request) => request.socket.destroy();
  assert.equal((await ask()).status, 200);
  let last;
  await until('the token to end', async () => {
    last = await ask();
    return last.status !== 200;
  });
  await refusal(last, 503, 'ehr-token');
  assert.ok(Number(last.headers.get('retry-after')) >= 1);
  wall.rotate('wall-6');
  await until('another one', async () => (await ask()).status === 200);
  await world.clean();
});
