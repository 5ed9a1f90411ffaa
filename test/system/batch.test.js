// Batches through the gateway: each entry is answered as the call alone would be.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { libraries } from './clients.js';
import { rawID } from './data.js';
import { World } from './world.js';

let world;
before(async () => { world = await World.start(); });
after(() => world?.stop());

const bundle = (type, ...urls) => ({ resourceType: 'Bundle', type, entry: urls.map((url) => ({ request: { method: 'GET', url } })) });
const code = (entry) => entry.response.outcome?.issue[0].details.coding[0].code;

// without leaves out what is sealed or made anew for each call.
const without = (value) => JSON.parse(JSON.stringify(value).replace(/_page=[\w~-]+/g, '').replace(/correlation-id=[\w-]+/g, ''));

for (const [library, connect] of Object.entries(libraries).filter(([, c]) => c('https://gateway.example/fhir', 'x').batch)) {
  describe(library, () => {
    test('a batch of what may be seen, what may not, and what is not there', async () => {
      const [slot] = await world.all('scheduling-a', 'Slot?_count=1');
      const [other] = await world.all('scheduling-b', 'Slot?_count=1');
      const raw = world.ehr.seen.map((s) => s.url.match(rawID)?.[0]).find(Boolean) ?? 'rawid-slot-1';
      const urls = [`Slot/${slot.id}`, 'Slot?_count=3', 'Coverage?_count=1', `Slot/${other.id}`, 'Slot/no-such-id', `Slot/${raw}`, 'Slot?schedule:missing=1', 'Sandwich/1'];
      await world.clean();
      const before = world.ehr.seen.length;
      const answer = await connect(world.base, await world.token('scheduling-a')).batch(bundle('batch', ...urls));
      assert.equal(answer.type, 'batch-response');
      assert.equal(answer.entry.length, urls.length);
      assert.equal(world.ehr.seen.length - before, answer.entry.filter((e) => e.resource).length, 'the EHR is asked for what may be seen, one by one');
      assert.ok(world.ehr.seen.slice(before).every((s) => s.url.includes('/Slot')), 'and hears of no batch');
      for (const [i, entry] of answer.entry.entries()) {
        const alone = await world.call(`/${urls[i]}`, { as: 'scheduling-a' });
        assert.equal(Number(entry.response.status.split(' ')[0]), alone.status, urls[i]);
        assert.deepEqual(without(entry.resource ?? entry.response.outcome), without(alone.json), urls[i]);
        assert.equal(entry.response.etag ?? null, alone.headers.get('etag'), urls[i]);
      }
      assert.deepEqual(answer.entry.slice(3, 6).map(code), ['not-found', 'not-found', 'not-found'], 'which of them is there cannot be told');
      await world.clean();
    });
  });
}

test('a batch is recorded entry by entry, in order, and as a whole', async () => {
  const body = JSON.stringify(bundle('batch', 'Slot?_count=1', 'Coverage', 'Slot/no-such-id'));
  const { request, status } = await world.call('', { as: 'scheduling-a', method: 'POST', body, headers: { 'Content-Type': 'application/fhir+json' } });
  assert.equal(status, 200);
  const records = await world.records(request);
  assert.deepEqual(records.map((r) => [r.request_id, r.kind, r.request.interaction, r.status]), [
    [`${request}#1`, 'access', 'search-type', 200], [`${request}#2`, 'refusal', 'search-type', 403], [`${request}#3`, 'refusal', 'read', 404],
    [request, 'access', 'batch', 200],
  ]);
  assert.equal(records[3].request.entries, 3);
  await world.clean();
});

test('an address that is not below the base is refused in its place, and nobody goes there', async () => {
  const urls = [`${world.ehr.base}/Slot`, '//elsewhere.example/Slot', '/Slot', '../Slot', 'Slot/%2e%2e/Slot', 'Slot#x', 'https://elsewhere.example/Slot'];
  const before = world.ehr.seen.length;
  const { json } = await world.call('', {
    as: 'scheduling-a', method: 'POST', body: JSON.stringify(bundle('batch', ...urls)), headers: { 'Content-Type': 'application/fhir+json' },
  });
  assert.deepEqual(json.entry.map((e) => Number(e.response.status.split(' ')[0])), urls.map(() => 400));
  assert.equal(world.ehr.seen.length, before);
  await world.clean();
});

test('an EHR that dies under one entry fails that entry', async () => {
  let asked = 0;
  world.ehr.fault = (request, response) => {
    if (++asked > 1) {
      request.socket.destroy();
      return;
    }
    world.ehr.serve(request, response);
  };
  try {
    const { json } = await world.call('', {
      as: 'scheduling-a', method: 'POST', body: JSON.stringify(bundle('batch', 'Slot?_count=1', 'Slot?_count=2', 'Slot/no-such-id')), headers: { 'Content-Type': 'application/fhir+json' },
    });
    assert.deepEqual(json.entry.map((e) => e.response.status.split(' ')[0]), ['200', '502', '404']);
    assert.equal(code(json.entry[1]), 'ehr-unreachable');
  } finally {
    world.ehr.fault = undefined;
  }
  await world.clean();
});
