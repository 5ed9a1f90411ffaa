// The auditor must have teeth: what the EHR itself says is full of what no desk may see.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canary, synthetic } from './data.js';
import { loadDataset, walk } from './dataset.js';

const base = 'https://gateway.example/fhir';
const names = ['access', 'scheduling', 'billing'];
const resources = synthetic('http://ehr.example/fhir');
const tagged = { tag: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue', code: 'SUBSETTED' }] };

test('every element that a dataset hides is found in what the EHR says', () => {
  for (const dataset of names.map(loadDataset)) {
    for (const type of dataset.types) {
      const resource = resources.find((r) => r.resourceType === type);
      const problems = walk(dataset, resource, base).map((p) => p.replace(/^[A-Za-z]+\./, '').replaceAll(/\[\d+\]/g, '').split(':')[0]);
      for (const name of Object.keys(resource)) {
        if (!['resourceType', 'id', 'meta'].includes(name) && !dataset.method(type, name.replace('_', '')) && !dataset.leadsTo(type, name)) {
          assert.ok(problems.includes(name), `${dataset.name}: ${type}.${name} was not found`);
        }
      }
      assert.ok(problems.some((p) => p.startsWith('meta')), `${dataset.name}: ${type}.meta`);
    }
  }
});

test('a type without a row, a missing tag, a longer value and a foreign address are found', () => {
  const dataset = loadDataset('scheduling');
  const found = (resource) => walk(dataset, resource, base);
  const good = { resourceType: 'Patient', meta: tagged, id: 'tA', active: true, birthDate: '1943', identifier: [{ system: 'urn:x', value: '***' }] };
  assert.deepEqual(found(good), []);
  for (const bad of [
    { ...good, resourceType: 'Observation' },
    { ...good, meta: {} },
    { ...good, meta: { tag: [...tagged.tag, { system: 'x', code: 'y' }] } },
    { ...good, meta: { ...tagged, security: [] } },
    { ...good, birthDate: '1943-04' },
    { ...good, _birthDate: {} },
    { ...good, name: [] },
    { ...good, identifier: [{ value: 'N0001' }] },
    { ...good, identifier: ['N0001'] },
    { ...good, identifier: [{ value: '***', assigner: {} }] },
    { ...good, active: { text: 'x' } },
    { ...good, _active: { extension: [] } },
    { ...good, id: 'a b' },
  ]) {
    assert.equal(found(bad).length, 1, JSON.stringify(bad));
  }
  const slot = { resourceType: 'Slot', meta: tagged };
  assert.deepEqual(found({ ...slot, schedule: { reference: 'Schedule/tA' } }), []);
  assert.deepEqual(found({ ...slot, schedule: { reference: `${base}/Schedule/tA` } }), []);
  assert.equal(found({ ...slot, schedule: { reference: 'http://ehr.example/fhir/Schedule/1' } }).length, 1);
  assert.equal(found({ ...slot, schedule: { reference: 'Schedule/tA', display: 'x' } }).length, 1);
  const entry = { fullUrl: `${base}/Patient/tA`, resource: good, search: { mode: 'match' } };
  const bundle = { resourceType: 'Bundle', type: 'searchset', link: [{ relation: 'next', url: `${base}/Patient?_page=x` }], entry: [entry] };
  assert.deepEqual(found(bundle), []);
  assert.equal(found({ ...bundle, entry: [{ ...entry, fullUrl: 'http://ehr.example/fhir/Patient/1' }] }).length, 1);
  assert.equal(found({ ...bundle, link: [{ relation: 'next', url: 'http://ehr.example/fhir?x' }] }).length, 1);
  assert.equal(found({ ...bundle, id: 'x' }).length, 1);
});

test('every hidden text of the EHR is marked', () => {
  const strings = (value, path) => typeof value === 'string' ? [[path, value]]
    : value && typeof value === 'object' ? Object.entries(value).flatMap(([k, v]) => strings(v, [...path, k])) : [];
  const marked = new Set();
  for (const resource of resources) {
    for (const [, text] of strings(resource, [])) {
      for (const [, type, path] of text.matchAll(canary)) {
        marked.add(`${type}.${path}`);
      }
    }
  }
  assert.ok(marked.size > 250, `${marked.size} elements are marked`);
});
