// Batches and transactions through the gateway: each entry of a batch is answered as the call alone would be, and a
// transaction is carried out whole or not at all.

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

    test('a transaction makes two reminders, one about the other, and confirms an appointment', async () => {
      const client = connect(world.base, await world.token('scheduling-writer'));
      const { appointment, version, patient } = await booking();
      const posts = world.ehr.posts.length;
      const answer = await client.transaction({
        resourceType: 'Bundle', type: 'transaction', entry: [
          { fullUrl: urn(1), request: { method: 'POST', url: 'Communication' }, resource: reminder(patient) },
          { fullUrl: urn(2), request: { method: 'POST', url: 'Communication' }, resource: { ...reminder(patient), basedOn: [{ reference: urn(1) }] } },
          { request: { method: 'PUT', url: `Appointment/${appointment.id}`, ifMatch: version }, resource: { ...appointment, status: 'arrived' } },
          { request: { method: 'GET', url: `Appointment/${appointment.id}` } },
        ],
      });
      assert.equal(answer.type, 'transaction-response');
      assert.deepEqual(answer.entry.map((e) => e.response.status.slice(0, 3)), ['201', '201', '200', '200'], JSON.stringify(answer));
      const [first, second, moved, read] = answer.entry.map((e) => e.resource);
      assert.equal(second.basedOn[0].reference, `Communication/${first.id}`);
      assert.equal(moved.status, 'arrived');
      assert.deepEqual(read, moved);
      assert.ok(answer.entry[0].response.location.startsWith(`${world.base}/Communication/${first.id}`));
      assert.deepEqual((await world.call(`/Communication/${first.id}`, { as: 'scheduling-writer' })).json, first, 'it is there');

      const sent = world.ehr.posts.slice(posts);
      assert.equal(sent.length, 1, 'the EHR is sent one Bundle');
      const held = await world.ehr.repo.readResource('Appointment', sent[0].entry[2].request.url.split('/')[1]);
      assert.equal(held.status, 'arrived');
      assert.match(held.comment, /^CANARY-Appointment.comment/, 'what the client cannot see is still there');
      await world.clean();
    });

    test('a transaction with one entry that may not be is not carried out', async () => {
      const client = connect(world.base, await world.token('scheduling-writer'));
      const { appointment, version, patient } = await booking();
      const posts = world.ehr.posts.length;
      await assert.rejects(client.transaction({
        resourceType: 'Bundle', type: 'transaction', entry: [
          { request: { method: 'POST', url: 'Communication' }, resource: reminder(patient) },
          { request: { method: 'PUT', url: `Appointment/${appointment.id}`, ifMatch: version }, resource: { ...appointment, comment: 'x' } },
        ],
      }), (e) => {
        assert.match(JSON.stringify(e.outcome ?? e.response?.data ?? e), /Bundle\.entry\[1\]/);
        return true;
      });
      assert.equal(world.ehr.posts.length, posts, 'the EHR is sent nothing');
      await world.clean();
    });
  });
}

const urn = (n) => `urn:uuid:8f3b9a52-61d1-4d0e-9c38-0c0f3f5b1a0${n}`;
const reminder = (patient) => ({ resourceType: 'Communication', status: 'completed', sent: '2031-02-03T04:05:06Z', subject: { reference: patient } });

// booking is an appointment that can be changed, as the scheduling desk sees it.
async function booking() {
  const [found] = await world.all('scheduling-writer', 'Appointment?status=booked&_count=1');
  const { json, headers } = await world.call(`/Appointment/${found.id}`, { as: 'scheduling-writer' });
  const patient = json.participant.map((p) => p.actor?.reference).find((r) => r?.startsWith('Patient/'));
  return { appointment: json, version: headers.get('etag'), patient };
}

test('a transaction whose record has changed since it was read is refused', async () => {
  const { appointment, version } = await booking();
  world.ehr.meanwhile = async (bundle) => {
    const id = bundle.entry[1].request.url.split('/')[1];
    await world.ehr.repo.updateResource({ ...await world.ehr.repo.readResource('Appointment', id), priority: 9 });
  };
  try {
    const body = JSON.stringify({
      resourceType: 'Bundle', type: 'transaction', entry: [
        { request: { method: 'GET', url: 'Slot?_count=1' } },
        { request: { method: 'PUT', url: `Appointment/${appointment.id}`, ifMatch: version }, resource: { ...appointment, status: 'noshow' } },
      ],
    });
    const { request, status, json } = await world.call('', { as: 'scheduling-writer', method: 'POST', body, headers: { 'Content-Type': 'application/fhir+json' } });
    assert.equal(status, 412, JSON.stringify(json));
    assert.deepEqual((await world.records(request)).map((r) => [r.request_id.slice(request.length), r.kind, r.code]), [
      ['#2', 'intent', undefined], ['#1', 'refusal', 'version-conflict'], ['#2', 'refusal', 'version-conflict'], ['', 'refusal', 'version-conflict'],
    ]);
  } finally {
    world.ehr.meanwhile = undefined;
  }
  assert.equal((await world.call(`/Appointment/${appointment.id}`, { as: 'scheduling-writer' })).json.status, 'booked');
  await world.clean();
});

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
