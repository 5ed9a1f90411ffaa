// The access log as FHIR AuditEvents: what is exported is valid by others' R4 definitions, and others' server takes it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { validateResource } from '@medplum/core';
import { halfdoor } from './gateway.js';
import { World } from './world.js';

const writer = 'scheduling-writer';

let world;
let events;
before(async () => {
  world = await World.start();
  const [patient] = await world.all(writer, 'Patient?active=true&_count=50');
  const [appointment] = await world.all(writer, 'Appointment?_count=50');
  const json = (body, method, more = {}) => ({ as: writer, method, body: JSON.stringify(body), headers: { 'Content-Type': 'application/fhir+json', ...more } });
  const is = async (status, path, call) => assert.equal((await world.call(path, call)).status, status, path);
  await is(200, `/Patient/${patient.id}`, { as: writer });
  await is(201, '/Communication', json({ resourceType: 'Communication', status: 'completed', sent: '2032-01-01T08:00:00Z', subject: { reference: `Patient/${patient.id}` } }, 'POST'));
  await is(200, `/Appointment/${appointment.id}`, json([{ op: 'replace', path: '/status', value: 'arrived' }], 'PATCH', { 'Content-Type': 'application/json-patch+json' }));
  await is(404, '/Patient/tAnobody', { as: writer });
  await is(401, '/Patient/tAnobody', {});
  await is(403, '/Observation?code=1', { as: 'billing-a' });
  await is(200, '/', json({ resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: `Patient/${patient.id}` } }, { request: { method: 'GET', url: 'Claim/x' } }] }, 'POST'));
  const { code, out, err } = await halfdoor('audit', 'export', '--unrecorded', '--log', world.gateway.log, '--format', 'fhir');
  assert.equal(code, 0, err);
  events = out.trimEnd().split('\n').map((line) => JSON.parse(line));
});
after(() => world?.stop());

test('has every pattern that was met, and the refusals', () => {
  const met = new Set(events.map((e) => e.meta?.profile[0].replace(/.*\./, '') ?? `${e.type.code} ${e.outcome}`));
  for (const pattern of ['PatientRead', 'PatientQuery', 'PatientCreate', 'PatientUpdate', 'rest 4', '110100 0']) {
    assert.ok(met.has(pattern), `${pattern} is not among ${[...met]}`);
  }
});

test('is valid by the R4 definitions, and names nobody', () => {
  for (const event of events) {
    const issues = validateResource(event).filter((i) => i.severity === 'error' || i.severity === 'fatal');
    assert.deepEqual(issues, [], JSON.stringify(event));
    assert.doesNotMatch(JSON.stringify(event), /rawid-/);
  }
});

test('is taken by an EHR as it is', async () => {
  for (const event of events) {
    const response = await fetch(`${world.ehr.base}/AuditEvent/${event.id}`, {
      method: 'PUT', body: JSON.stringify(event), headers: { 'Content-Type': 'application/fhir+json' },
    });
    assert.ok([200, 201].includes(response.status), await response.text());
  }
});
