// An EHR that is dead, slow, or answers what it should not.

import assert from 'node:assert/strict';
import * as zlib from 'node:zlib';
import { after, before, describe, test } from 'node:test';
import { until } from './gateway.js';
import { World } from './world.js';

let world;
before(async () => {
  world = await World.start((config) => {
    config.ehrs[0].timeouts = { header: '300ms', idle: '300ms' };
    config.ehrs[0].breaker = { calls: 0 }; // each fault is seen, however many there were before
    config.limits = { window: '4KiB' };
  });
});
after(() => world?.stop());

const json = { 'Content-Type': 'application/fhir+json' };
const answering = (status, headers, body) => (_request, response) => { response.writeHead(status, headers).end(body); };
const patient = '{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Patient","id":"rawid-Patient-0001","active":true}}]}';

const codings = {
  gzip: zlib.gzipSync, deflate: zlib.deflateSync, 'bare deflate': zlib.deflateRawSync,
  br: (body) => zlib.brotliCompressSync(body, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } }), // its best takes a second
  ...zlib.zstdCompressSync && { zstd: zlib.zstdCompressSync }, // since Node.js 22.15
};

const faults = [
  { name: 'answers HTML', fault: answering(200, { 'Content-Type': 'text/html' }, '<p>CANARY-Page.p-1</p>'), status: 502, code: 'ehr-invalid' },
  { name: 'answers nothing', fault: answering(200, json, ''), status: 502, code: /^ehr-(invalid|cut)$/ },
  { name: 'answers what is not JSON', fault: answering(200, json, '{"resourceType":"Bundle",CANARY-Bundle.x-1'), status: 502, code: 'ehr-invalid' },
  { name: 'answers a member twice', fault: answering(200, json, '{"resourceType":"Bundle","type":"searchset","type":"searchset"}'), status: 502, code: 'ehr-invalid' },
  { name: 'answers another resource', fault: answering(200, json, '{"resourceType":"Patient","id":"rawid-1"}'), status: 502, code: 'ehr-invalid' },
  { name: 'adds something behind the answer', fault: answering(200, json, `${patient}{}`), status: 502, code: 'ehr-invalid' },
  { name: 'ends in the middle', fault: answering(200, json, patient.slice(0, -20)), status: 502, code: 'ehr-cut' },
  {
    name: 'cuts the connection in the middle',
    fault(_request, response) {
      response.writeHead(200, { ...json, 'Content-Length': patient.length }).write(patient.slice(0, 40), () => response.destroy());
    },
    status: 502, code: 'ehr-cut',
  },
  { name: 'sends a coding that nobody knows', fault: answering(200, { ...json, 'Content-Encoding': 'compress' }, patient), status: 502, code: 'ehr-invalid' },
  { name: 'codes twice', fault: answering(200, { ...json, 'Content-Encoding': 'gzip, gzip' }, zlib.gzipSync(zlib.gzipSync(patient))), status: 502, code: 'ehr-invalid' },
  { name: 'names a coding that it does not send', fault: answering(200, { ...json, 'Content-Encoding': 'br' }, patient), status: 502, code: 'ehr-invalid' },
  { name: 'ends in the middle of a coding', fault: answering(200, { ...json, 'Content-Encoding': 'gzip' }, zlib.gzipSync(patient).subarray(0, -1)), status: 502, code: 'ehr-cut' },
  { name: 'sends a bomb', fault: answering(200, { ...json, 'Content-Encoding': 'gzip' }, zlib.gzipSync(Buffer.alloc(16 << 20, ' '))), status: 502, code: 'ehr-too-large' },
  { name: 'redirects', fault: answering(302, { Location: 'http://127.0.0.1:9/CANARY-Location.x-1' }, ''), status: 502, code: 'ehr-invalid' },
  { name: 'does not accept the gateway', fault: answering(401, { ...json, 'WWW-Authenticate': 'Basic realm="CANARY-Realm.x-1"' }, '{}'), status: 502, code: 'ehr-refused' },
  { name: 'forbids the gateway', fault: answering(403, json, '{}'), status: 502, code: 'ehr-refused' },
  { name: 'fails', fault: answering(500, json, '{"resourceType":"OperationOutcome","issue":[{"diagnostics":"CANARY-Trace.x-1"}]}'), status: 502, code: 'ehr-error' },
  { name: 'is busy', fault: answering(503, json, ''), status: 503, code: 'ehr-busy', retry: '1' },
  { name: 'asks to be called less often', fault: answering(429, { ...json, 'Retry-After': '7' }, ''), status: 429, code: 'ehr-busy', retry: '7' },
  { name: 'does not answer', fault() {}, status: 504, code: 'ehr-timeout' },
  {
    name: 'stops in the middle',
    fault(_request, response) { response.writeHead(200, json).write(patient.slice(0, 40)); },
    status: 504, code: 'ehr-timeout',
  },
];

async function refusedAs({ status, code, retry }) {
  const answer = await world.call('/Patient', { as: 'scheduling-a' });
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.json.resourceType, 'OperationOutcome');
  const said = answer.json.issue[0].details.coding[0].code;
  assert.match(said, code instanceof RegExp ? code : new RegExp(`^${code}$`));
  if (retry) {
    assert.equal(answer.headers.get('retry-after'), retry);
  }
  const [record, ...more] = await world.records(answer.request);
  assert.equal(more.length, 0);
  assert.deepEqual([record.kind, record.status, record.code], ['refusal', status, said]);
  assert.equal(record.subjects, undefined);
  await world.clean();
}

describe('an EHR that', () => {
  for (const { name, fault, ...expected } of faults) {
    test(name, async () => {
      world.ehr.fault = fault;
      try {
        await refusedAs(expected);
      } finally {
        world.ehr.fault = undefined;
      }
    });
  }

  // Other people's encoders, and a decoder: fetch undoes gzip.
  for (const [coding, encode] of Object.entries(codings)) {
    test(`answers in ${coding}`, async () => {
      const search = (accept) => world.call('/Appointment?_count=67', { as: 'scheduling-a', headers: { 'Accept-Encoding': accept } });
      const plain = await search('identity');
      world.ehr.coding = { name: coding.split(' ').at(-1), encode };
      try {
        for (const accept of ['identity', 'gzip']) {
          const answer = await search(accept);
          assert.equal(answer.status, 200, answer.text);
          assert.equal(answer.headers.get('content-encoding') ?? 'identity', accept);
          assert.deepEqual(answer.json.entry, plain.json.entry);
        }
      } finally {
        world.ehr.coding = undefined;
      }
      await world.clean();
    });
  }

  test('asks to be left alone', async () => {
    world.ehr.fault = answering(503, { ...json, 'Retry-After': '1' }, '');
    await refusedAs({ status: 503, code: 'ehr-busy', retry: '1' });
    world.ehr.fault = undefined;
    const asked = world.ehr.seen.length;
    await refusedAs({ status: 503, code: 'ehr-busy', retry: '1' });
    assert.equal(world.ehr.seen.length, asked);
    await until('its time to be over', async () => (await world.call('/Patient', { as: 'scheduling-a' })).status === 200);
  });

  test('is dead, and alive again', async () => {
    const { port } = world.ehr;
    await world.ehr.stop();
    try {
      await refusedAs({ status: 502, code: 'ehr-unreachable' });
    } finally {
      await world.ehr.listen(port);
    }
    assert.equal((await world.call('/Patient', { as: 'scheduling-a' })).status, 200);
  });
});

test('an answer that breaks once bytes have left is cut, not closed', async () => {
  let cut;
  world.ehr.hold = () => new Promise((_resolve, reject) => { cut = reject; }); // a rejection destroys the EHR's answer
  const response = await fetch(`${world.base}/Appointment?_count=67`, {
    headers: { Authorization: `Bearer ${await world.token('scheduling-a')}`, 'X-Request-Id': 'cut-in-the-middle' },
  });
  assert.equal(response.status, 200);
  const reader = response.body.getReader();
  let text = '';
  let failed;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        break;
      }
      text += Buffer.from(value).toString();
      cut(new Error('the EHR broke off'));
    }
  } catch (e) {
    failed = e;
  } finally {
    world.ehr.hold = undefined;
  }
  assert.ok(failed, 'the client saw that the answer was cut');
  assert.ok(text.length > 0);
  assert.throws(() => JSON.parse(text));
  const records = await world.records('cut-in-the-middle');
  assert.equal(records[0].kind, 'access');
  assert.equal(records[0].more, true);
  const last = records.at(-1);
  assert.deepEqual([last.kind, last.code, last.detail], ['close', 'ehr-cut', 'aborted']);
});
