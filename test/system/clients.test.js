// Three libraries that others wrote call through the gateway: read, search to the end, discovery.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { validateResource } from '@medplum/core';
import { libraries } from './clients.js';
import { countOf } from './data.js';
import { datasets, World } from './world.js';

let world;
before(async () => { world = await World.start(); });
after(() => world?.stop());

// What no two resources of a type have in common, and a desk sees.
const distinct = { Appointment: 'start', Slot: 'start', Task: 'authoredOn', Communication: 'sent', ServiceRequest: 'authoredOn' };

for (const [library, connect] of Object.entries(libraries)) {
  describe(library, () => {
    for (const desk of Object.keys(datasets)) {
      test(`${desk} desk: searches every type to its end, and reads what it found`, async () => {
        const client = connect(world.base, await world.token(`${desk}-a`));
        for (const type of datasets[desk].types) {
          const { found, pages } = await client.search(type, { _count: '20' });
          assert.equal(found.length, countOf(type), `${type} found`);
          assert.equal(new Set(found.map((r) => r.id)).size, countOf(type), `${type}: each once`);
          assert.equal(pages, Math.max(1, Math.ceil(countOf(type) / 20)), `${type}: pages`);
          if (distinct[type]) {
            assert.equal(new Set(found.map((r) => r[distinct[type]])).size, countOf(type), `${type}: each its own`);
          }
          const read = await client.read(type, found.at(-1).id);
          assert.deepEqual(read, found.at(-1), `${type}: a read is what the search said`);
        }
        const answers = await world.clean();
        assert.ok(answers.length >= 2 * datasets[desk].types.length, 'the answers were looked at');
      });
    }

    test('finds where tokens come from', async () => {
      const client = connect(world.base, await world.token('scheduling-a'));
      const { token } = await client.discover();
      assert.equal(token, `${world.issuer.url}/token`);
      await world.clean();
    });
  });
}

test('smart-configuration and metadata need no token', async () => {
  const smart = await world.call('/.well-known/smart-configuration');
  assert.equal(smart.status, 200);
  assert.match(smart.headers.get('content-type'), /^application\/json/);
  assert.equal(smart.json.token_endpoint, `${world.issuer.url}/token`);
  assert.ok(smart.json.capabilities.length > 0 && smart.json.scopes_supported.length > 0);
  const metadata = await world.call('/metadata');
  assert.equal(metadata.status, 200);
  assert.equal(metadata.json.resourceType, 'CapabilityStatement');
  assert.equal(metadata.json.fhirVersion, '4.0.1');
  validateResource(metadata.json); // by HL7's definitions, which ehr.js has loaded; throws what it has against it
  assert.throws(() => validateResource({ ...metadata.json, kind: undefined }), 'a statement that is none');
  await world.clean();
});

test('SMART v1 scopes open what they name', async () => {
  const client = libraries['fhir-kit-client'](world.base, await world.token('old-scopes'));
  const { found } = await client.search('Slot', { _count: '50' });
  assert.equal(found.length, countOf('Slot'));
  assert.equal((await world.call('/Patient', { as: 'old-scopes' })).status, 403);
  await world.clean();
});

test('one version of a resource', async () => {
  const [slot] = await world.all('scheduling-a', 'Slot?_count=1');
  const { status, json, headers } = await world.call(`/Slot/${slot.id}/_history/${slot.meta.versionId}`, { as: 'scheduling-a' });
  assert.equal(status, 200);
  assert.deepEqual(json, slot);
  assert.equal(headers.get('etag'), `W/"${slot.meta.versionId}"`);
  await world.clean();
});

test('what a restricted label covers is not there', async () => {
  const found = await world.all('scheduling-a', 'Appointment?_count=100');
  assert.equal(found.length, countOf('Appointment'));
  const { json } = await world.call('/Patient?_count=1', { as: 'access-a' });
  assert.equal(json.total, undefined, 'a total would tell how many there are');
  await world.clean();
});

test('a search that the desk may not see behind is allowed by name only', async () => {
  const found = async (query) => (await world.call(`/Patient?${query}`, { as: 'access-a' })).json?.entry?.length ?? 0;
  assert.equal(await found(new URLSearchParams({ identifier: 'http://example.org/numbers|N0003' })), 1);
  assert.equal(await found(new URLSearchParams({ family: 'CANARY-Patient.name.family-3', birthdate: '1943-04-13' })), 1);
  assert.equal(await found(new URLSearchParams({ family: 'CANARY-Patient.name.family-3', birthdate: '1943-04-14' })), 0);
  await world.clean();
});

test('the EHR is told who asks for what by ids, and nothing else of the client', async () => {
  const before = world.ehr.seen.length;
  const { request, headers } = await world.call('/Slot?_count=1', {
    as: 'scheduling-a', headers: { Cookie: 'a=CANARY', 'X-Correlation-Id': 'task-77', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
  });
  assert.equal(headers.get('x-request-id'), request);
  assert.equal(headers.get('x-correlation-id'), 'task-77');
  const [seen, ...more] = world.ehr.seen.slice(before);
  assert.equal(more.length, 0);
  assert.equal(seen.headers['x-request-id'], request);
  assert.equal(seen.headers['x-correlation-id'], 'task-77');
  assert.match(seen.headers.traceparent, /^00-0af7651916cd43dd8448eb211c80319c-/);
  assert.equal(seen.headers.authorization, undefined);
  assert.equal(seen.headers.cookie, undefined);
  await world.clean();
});
