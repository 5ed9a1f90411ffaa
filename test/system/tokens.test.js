// Ids are tokens: they name a resource to the client that was given them, and to nobody else.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { moment, rawIDOf } from './data.js';
import { datasets, World } from './world.js';

let world;
before(async () => { world = await World.start(); });
after(() => world?.stop());

const ids = (resources) => resources.map((r) => r.id).sort();

test('tokens stay what they are for a client', async () => {
  const first = await world.all('scheduling-a', 'Patient?_count=50');
  const second = await world.all('scheduling-a', 'Patient?_count=7');
  assert.deepEqual(ids(second), ids(first));
});

test('two clients of one desk share no token, and each reads its own only', async () => {
  for (const type of datasets.scheduling.types) {
    const [a, b] = await Promise.all(['a', 'b'].map((c) => world.all(`scheduling-${c}`, `${type}?_count=50`)));
    assert.equal(a.length, b.length);
    const of = new Set(ids(a));
    assert.deepEqual(ids(b).filter((id) => of.has(id)), [], `${type}: tokens in common`);

    const own = await world.call(`/${type}/${a[0].id}`, { as: 'scheduling-a' });
    assert.equal(own.status, 200);
    assert.deepEqual(own.json, a[0]);
    const foreign = await world.call(`/${type}/${a[0].id}`, { as: 'scheduling-b' });
    assert.equal(foreign.status, 404);
    const search = await world.call(`/${type}?_id=${a[0].id}`, { as: 'scheduling-b' });
    assert.equal(search.status, 200);
    assert.equal(search.json.entry, undefined);
  }
  await world.clean();
});

test('an answer about a foreign token is that about no resource at all', async () => {
  const [slot] = await world.all('scheduling-a', 'Slot?_count=1');
  const blank = (answer) => answer.text.replaceAll(answer.request, '');
  const foreign = await world.call(`/Slot/${slot.id}`, { as: 'scheduling-b' });
  const never = await world.call('/Slot/there-is-no-such-slot', { as: 'scheduling-b' });
  const raw = await world.call(`/Slot/${rawIDOf('Slot', 1)}`, { as: 'scheduling-b' });
  const otherType = await world.call(`/Schedule/${slot.id}`, { as: 'scheduling-a' });
  assert.deepEqual([foreign.status, never.status, raw.status, otherType.status], [404, 404, 404, 404]);
  assert.equal(blank(foreign), blank(never));
  assert.equal(blank(raw), blank(never));
  assert.equal(blank(otherType), blank(never));
  await world.clean();
});

test('the EHR is not asked about an id that is not a token of the client', async () => {
  const before = world.ehr.seen.length;
  const raw = rawIDOf('Patient', 1);
  assert.equal((await world.call(`/Patient/${raw}`, { as: 'scheduling-a' })).status, 404);
  for (const query of [`Patient?_id=${raw}`, `Appointment?patient=Patient/${raw}`, `Appointment?actor=${raw}`]) {
    const { status, json } = await world.call(`/${query}`, { as: 'scheduling-a' });
    assert.equal(status, 200);
    assert.equal(json.entry, undefined);
  }
  assert.equal(world.ehr.seen.length, before);
  await world.clean();
});

test('tokens work when they are sent back, in a path and in every form of a parameter', async () => {
  const as = 'scheduling-a';
  const appointments = await world.all(as, 'Appointment?_count=100');
  const patients = new Map((await world.all(as, 'Patient?_count=50')).map((p) => [`Patient/${p.id}`, p]));
  const relative = (reference) => reference?.replace(`${world.base}/`, '');
  const patientOf = (appointment) => appointment.participant.map((p) => relative(p.actor?.reference)).find((r) => r?.startsWith('Patient/'));

  for (const appointment of appointments) {
    assert.ok(patients.has(patientOf(appointment)), 'a reference is the token of the resource itself');
  }
  // One whom the EHR names by relative references only: its own search finds no others.
  const patient = patientOf(appointments.find((a) => a.start === moment(2)));
  const expected = ids(appointments.filter((a) => patientOf(a) === patient));
  assert.ok(expected.length > 1);
  for (const value of [patient, patient.slice('Patient/'.length), `${world.base}/${patient}`]) {
    assert.deepEqual(ids(await world.all(as, `Appointment?patient=${encodeURIComponent(value)}`)), expected, value);
  }
  assert.deepEqual(ids(await world.all(as, `Appointment?patient:Patient=${patient.slice('Patient/'.length)}`)), expected);
  assert.deepEqual(ids(await world.all(as, `Appointment?patient=${patient},Patient/unknown`)), expected);
  const two = [...patients.values()].slice(0, 2).map((p) => p.id);
  assert.deepEqual(ids(await world.all(as, `Patient?_id=${two.join(',')}`)), two.sort());

  // Every reference that left leads somewhere, where the desk may see its type.
  const references = new Set(appointments.slice(0, 12).flatMap((a) => [...a.participant.map((p) => p.actor), ...a.slot, ...a.basedOn])
    .map((r) => relative(r?.reference)).filter(Boolean));
  assert.ok(references.size > 20);
  for (const reference of references) {
    assert.equal((await world.call(`/${reference}`, { as })).status, 200, reference);
  }
  await world.clean();
});

test('a link to another page is for the client that was given it', async () => {
  const { json } = await world.call('/Appointment?_count=20', { as: 'scheduling-a' });
  const next = json.link.find((l) => l.relation === 'next').url;
  assert.equal((await world.call(next, { as: 'scheduling-a' })).status, 200);
  for (const as of ['scheduling-b', 'access-a', 'narrow']) {
    const { status } = await world.call(next, { as });
    assert.ok(status === 400 || status === 403, `${as}: ${status}`);
  }
  const at = next.length - 20;
  const altered = next.slice(0, at) + (next[at] === 'A' ? 'B' : 'A') + next.slice(at + 1);
  assert.equal((await world.call(altered, { as: 'scheduling-a' })).status, 400);
  assert.equal((await world.call(next.replace('Appointment', 'Slot'), { as: 'scheduling-a' })).status, 400);
  await world.clean();
});
