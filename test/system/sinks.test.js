// The access log handed on as it is written: to others' FHIR server, as AuditEvents that are there once.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from './gateway.js';
import { World } from './world.js';

let world;
before(async () => {
  world = await World.start((config) => { config.sinks = [{ name: 'repository', kind: 'fhir', url: config.ehrs[0].base_url }]; });
});
after(() => world?.stop());

const kept = () => world.ehr.repo.searchResources({ resourceType: 'AuditEvent', count: 1000 });
const record = (event) => event.entity.find((e) => e.what?.identifier?.system === 'urn:halfdoor:record').what.identifier.value;

test('each call is an event, once, also after the gateway was killed', async () => {
  const ask = async () => {
    const { status, request } = await world.call('/Patient?_count=3', { as: 'scheduling-a' });
    assert.equal(status, 200);
    return request;
  };
  const has = (request) => until(`the event of ${request}`, async () => (await kept()).some((e) => e.entity.some((x) => x.what?.identifier?.value === request)));
  await has(await ask());
  await world.gateway.end('SIGKILL');
  await world.gateway.start();
  await has(await ask());
  const events = await kept();
  const names = events.map((e) => `${record(e)} ${e.entity.find((x) => x.role?.code === '1')?.what.identifier.value}`);
  assert.equal(new Set(names).size, names.length, 'an event is there twice');
  const numbers = new Set(names.map((n) => Number(n.split(' ')[0].split('#')[1])));
  assert.deepEqual([...numbers].sort((a, b) => a - b), Array.from({ length: numbers.size }, (_, i) => i), 'a record is missing');
});
