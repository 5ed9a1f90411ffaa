// Writes through the gateway by client libraries, and what the EHR then holds.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { libraries } from './clients.js';
import { World } from './world.js';

let world;
before(async () => { world = await World.start(); });
after(() => world?.stop());

const writer = 'scheduling-writer';

// held is the EHR's own resource that was made at the same moment: each has one of its own.
async function held(type, by, resource) {
  const found = (await world.ehr.repo.searchResources({ resourceType: type, count: 1000 })).filter((r) => r[by] === resource[by]);
  assert.equal(found.length, 1);
  return structuredClone(found[0]);
}

// but is a resource without what a write of these elements changes.
function but(resource, ...names) {
  const { meta: { versionId, lastUpdated, author, ...meta }, ...rest } = structuredClone(resource);
  for (const name of names) {
    delete rest[name];
  }
  return { ...rest, meta };
}

const refused = (status, code) => (e) => {
  const outcome = e.outcome ?? e.response?.data;
  assert.equal(outcome.issue[0].details.coding[0].code, code);
  assert.ok(e.response === undefined || e.response.status === status);
  return true;
};

for (const [library, connect] of Object.entries(libraries).filter(([, c]) => c('https://gateway.example/fhir', 'x').update)) {
  describe(library, () => {
    test('an update sends the copy back that was read, and takes nothing away', async () => {
      const client = connect(world.base, await world.token(writer));
      const n = library === '@medplum/core' ? 0 : 1;
      const mine = await client.read('Task', (await world.all(writer, 'Task?_count=50'))[n].id);
      const was = await held('Task', 'authoredOn', mine);
      const told = await client.update({ ...mine, status: 'completed' }, { 'If-Match': `W/"${mine.meta.versionId}"` });
      assert.equal(told.status, 'completed');
      assert.notEqual(told.meta.versionId, mine.meta.versionId);
      const is = await held('Task', 'authoredOn', mine);
      assert.equal(is.status, 'completed');
      assert.deepEqual(but(is, 'status'), but(was, 'status'));
      assert.deepEqual(but(await client.read('Task', mine.id)), but(told));
      // The version that was read is an old one now.
      await assert.rejects(client.update({ ...mine, status: 'cancelled' }, { 'If-Match': `W/"${mine.meta.versionId}"` }), refused(412, 'version-conflict'));
      await assert.rejects(client.update({ ...mine, status: 'cancelled' }, {}), refused(428, 'version-required'));
      await assert.rejects(client.update({ ...told, description: 'x' }, { 'If-Match': `W/"${told.meta.versionId}"` }), refused(422, 'not-writable'));
      assert.deepEqual(await held('Task', 'authoredOn', mine), is);
      await world.clean();
    });

    test('a patch changes one element', async () => {
      const client = connect(world.base, await world.token(writer));
      const n = library === '@medplum/core' ? 2 : 3;
      const mine = (await world.all(writer, 'Appointment?_count=50'))[n];
      const was = await held('Appointment', 'start', mine);
      const told = await client.patch('Appointment', mine.id, [
        { op: 'test', path: '/status', value: mine.status }, { op: 'replace', path: '/status', value: 'arrived' },
      ]);
      assert.equal(told.status, 'arrived');
      const is = await held('Appointment', 'start', mine);
      assert.deepEqual(but(is, 'status'), but(was, 'status'));
      assert.equal(is.status, 'arrived');
      await assert.rejects(client.patch('Appointment', mine.id, [{ op: 'add', path: '/comment', value: 'x' }]), refused(422, 'not-writable'));
      await world.clean();
    });

    test('a create is carried out once under a key, with ids that are tokens', async () => {
      const client = connect(world.base, await world.token(writer));
      const [patient] = await world.all(writer, 'Patient?active=true&_count=50');
      const sent = library === '@medplum/core' ? '2032-01-01T08:00:00Z' : '2032-01-02T08:00:00Z';
      const note = { resourceType: 'Communication', status: 'completed', sent, subject: { reference: `Patient/${patient.id}` } };
      const key = { 'Idempotency-Key': `note-${library}` };
      const told = await client.create(note, key);
      assert.deepEqual(await client.create(note, key), told);
      const is = await held('Communication', 'sent', note);
      assert.match(is.subject.reference, /^Patient\/rawid-Patient-/);
      assert.notEqual(told.id, is.id);
      assert.equal(told.subject.reference, note.subject.reference);
      assert.deepEqual(but(await client.read('Communication', told.id)), but(told));
      await assert.rejects(client.create({ ...note, sent: '2033-01-01T08:00:00Z' }, key), refused(422, 'idempotency-other'));
      await assert.rejects(client.create({ ...note, payload: [{ contentString: 'x' }] }, {}), refused(422, 'not-writable'));
      await assert.rejects(client.create({ ...note, subject: { reference: is.subject.reference } }, {}), refused(422, 'unknown-reference'));
      await world.clean();
    });
  });
}

test('an intent is recorded before the EHR is asked, and what became of it after', async () => {
  const [task] = await world.all(writer, 'Task?_count=50');
  const { request, status } = await world.call(`/Task/${task.id}`, {
    as: writer, method: 'PATCH', body: JSON.stringify([{ op: 'replace', path: '/priority', value: 'urgent' }]), headers: { 'Content-Type': 'application/json-patch+json' },
  });
  assert.equal(status, 200);
  const records = await world.records(request);
  assert.deepEqual(records.map((r) => [r.kind, r.status, r.written, r.more]), [['intent', undefined, ['Task.priority'], true], ['access', 200, ['Task.priority'], undefined]]);
  assert.ok(records.every((r) => r.subjects.includes(`Task/${task.id}`) && r.patients.length === 1));
  await world.clean();
});

test('an EHR that dies while it writes leaves a write of which nobody knows', async () => {
  const [task] = await world.all(writer, 'Task?_count=50');
  world.ehr.fault = (request, response) => {
    if (request.method === 'PUT') {
      request.socket.destroy();
      return;
    }
    world.ehr.serve(request, response);
  };
  try {
    const { request, status, json } = await world.call(`/Task/${task.id}`, {
      as: writer, method: 'PATCH', body: JSON.stringify([{ op: 'replace', path: '/priority', value: 'stat' }]), headers: { 'Content-Type': 'application/json-patch+json' },
    });
    assert.equal(status, 502);
    assert.equal(json.issue[0].details.coding[0].code, 'write-unknown');
    assert.match(json.issue[0].diagnostics, /retry=no/);
    const records = await world.records(request);
    assert.deepEqual(records.map((r) => [r.kind, r.code]), [['intent', undefined], ['refusal', 'write-unknown']]);
  } finally {
    world.ehr.fault = undefined;
  }
  await world.clean();
});
