// Calls that must not be served: each is refused in FHIR's words, recorded, and the EHR never hears of it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newKey } from './issuer.js';
import { spilt, World } from './world.js';

let world;
before(async () => { world = await World.start(); });
after(() => world?.stop());

const now = () => Math.floor(Date.now() / 1000);
const forged = (how) => () => world.issuer.forge('scheduling-a', world.base, how?.());

const proofAlgorithms = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA';

// Each token must be refused although everything else about the call is right.
const tokens = [
  { name: 'none', code: 'token-missing', challenge: null },
  { name: 'another scheme', headers: { Authorization: 'Basic dXNlcjpwYXNz' }, code: 'token-missing', challenge: null },
  { name: 'not a JWT', token: () => 'nonsense', code: 'token-malformed' },
  { name: 'expired', token: forged(() => ({ claims: { iat: now() - 900, exp: now() - 300 } })), code: 'token-expired' },
  { name: 'not yet valid', token: forged(() => ({ claims: { nbf: now() + 300 } })), code: 'token-not-yet-valid' },
  { name: 'for another service', token: () => world.issuer.token('scheduling-a', 'https://elsewhere.example/fhir'), code: 'token-audience' },
  { name: 'of an unknown issuer', token: forged(() => ({ claims: { iss: 'https://elsewhere.example' } })), code: 'token-issuer' },
  { name: 'alg none', token: forged(() => ({ header: { alg: 'none' } })), code: 'token-algorithm' },
  { name: 'a symmetric algorithm', token: forged(() => ({ header: { alg: 'HS256' } })), code: 'token-algorithm' },
  { name: 'a key that the issuer does not publish', token: forged(() => ({ key: newKey('another') })), code: 'token-key' },
  { name: 'another key under the name of the right one', token: forged(() => ({ key: newKey('signing-1') })), code: 'token-signature' },
  {
    name: 'altered',
    async token() {
      const [header, payload, signature] = (await world.token('nobody')).split('.');
      const claims = { ...JSON.parse(Buffer.from(payload, 'base64url')), scope: 'system/*.rs' };
      return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
    },
    code: 'token-signature',
  },
  { name: 'an ID token', token: forged(() => ({ header: { typ: 'JWT' }, claims: { nonce: 'x' } })), code: 'token-type' },
  { name: 'nobody is named', token: forged(() => ({ claims: { client_id: undefined } })), code: 'token-claims' },
];

const json = { 'Content-Type': 'application/fhir+json' };

const calls = [
  { name: 'no scopes', as: 'nobody', path: '/Patient', status: 403, code: 'scope' },
  { name: 'a type that the scopes do not cover', as: 'narrow', path: '/Patient', status: 403, code: 'scope' },
  { name: 'no role', as: 'roleless', path: '/Patient', status: 403, code: 'policy-role' },
  { name: 'no ticket', as: 'ticketless', path: '/Patient', status: 403, code: 'policy-ticket' },
  { name: 'the ticket of another desk', as: 'wrong-category', path: '/Patient', status: 403, code: 'policy-category' },
  { name: 'a purpose that is not the desk\'s', as: 'wrong-purpose', path: '/Patient', status: 403, code: 'policy-purpose' },
  { name: 'a ticket that is not the token\'s', path: '/Patient', headers: { 'Ticket-Id': 'INC-999' }, status: 403, code: 'header-untrusted' },
  { name: 'a malformed ticket', as: 'ticketless', path: '/Patient', headers: { 'Ticket-Id': 'a b' }, status: 400, code: 'header-malformed' },
  { name: 'a category by header, untrusted', as: 'ticketless', path: '/Patient', headers: { 'Ticket-Category': 'login' }, status: 403, code: 'header-untrusted' },
  { name: 'a type that the desk does not see', path: '/Observation', status: 403, code: 'policy-type' },
  { name: 'a read of a type that the desk does not see', path: '/Condition/x', status: 403, code: 'policy-type' },
  { name: 'a search on what is masked to a year', path: '/Patient?birthdate=1943-04-13', status: 403, code: 'search-hidden' },
  { name: 'a search on what is hidden', path: '/Patient?phone=CANARY-Patient.telecom.value-3', status: 403, code: 'search-hidden' },
  { name: 'a range where one value is allowed', path: '/Patient?family=x&birthdate=ge1943-01-01', status: 403, code: 'search-hidden' },
  { name: 'a sort by what is hidden', path: '/Patient?_sort=birthdate', status: 403, code: 'search-hidden' },
  { name: 'an unknown type', path: '/Sandwich/1', status: 404, code: 'unknown-type' },
  { name: 'an unknown path', path: '/../elsewhere', status: 404, code: 'no-such-path' },
  { name: 'a malformed id', path: '/Patient/a_b', status: 400, code: 'malformed-id' },
  { name: 'an id that is too long', path: `/Patient/${'a'.repeat(65)}`, status: 400, code: 'malformed-id' },
  { name: 'an unknown parameter', path: '/Patient?shoe-size=43', status: 400, code: 'unknown-parameter' },
  { name: 'a malformed value', path: '/Appointment?date=yesterday', status: 400, code: 'malformed-parameter' },
  { name: 'XML by parameter', path: '/Patient?_format=xml', status: 406, code: 'not-acceptable' },
  { name: 'XML by header', path: '/Patient', headers: { Accept: 'application/fhir+xml' }, status: 406, code: 'not-acceptable' },
  { name: 'an include of what the desk does not see', path: '/Patient?_revinclude=Observation:subject', status: 403, code: 'search-hidden' },
  { name: 'a chained search on what is hidden', path: '/Appointment?patient.name=x', status: 403, code: 'search-hidden' },
  { name: 'the history of what nobody was given', path: '/Patient/x/_history', status: 404, code: 'not-found' },
  { name: 'an operation', path: '/Patient/x/$everything', status: 403, code: 'not-supported' },
  { name: 'a create without a resource', path: '/Patient', method: 'POST', status: 400, code: 'malformed-body' },
  { name: 'a create that the scopes do not cover', path: '/Communication', method: 'POST', body: '{"resourceType":"Communication","status":"completed"}', headers: json, status: 403, code: 'scope' },
  { name: 'a create that the desk may not', as: 'scheduling-writer', path: '/Patient', method: 'POST', body: '{"resourceType":"Patient"}', headers: json, status: 403, code: 'policy-interaction' },
  { name: 'a delete that the scopes do not cover', path: '/Patient/x', method: 'DELETE', status: 403, code: 'scope' },
  { name: 'a delete that the desk may not', as: 'scheduling-writer', path: '/Appointment/x', method: 'DELETE', status: 403, code: 'policy-interaction' },
  { name: 'a page that nobody was given', path: '/Patient?_page=AAAA', status: 400, code: 'page-invalid' },
];

// refusedAs checks the answer and its record, and that the EHR was not asked.
async function refusedAs(answer, asked, { status, code }) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers.get('content-type'), /^application\/fhir\+json/);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  assert.equal(answer.headers.get('x-request-id'), answer.request);
  assert.equal(answer.json.resourceType, 'OperationOutcome');
  const [issue] = answer.json.issue;
  assert.equal(issue.severity, 'error');
  assert.deepEqual(issue.details.coding, [{ system: 'urn:halfdoor:error-code', code }]);
  assert.match(issue.details.text, /\.$/, 'a sentence');
  assert.match(issue.diagnostics, /retry=/);
  assert.equal(world.ehr.seen.length, asked, 'the EHR was asked');

  const [record, ...more] = await world.records(answer.request);
  assert.equal(more.length, 0);
  assert.equal(record.kind, 'refusal');
  assert.equal(record.status, status);
  assert.equal(record.code, code);
  assert.equal(record.request_id, answer.request);
  assert.equal(record.subjects, undefined);
  assert.equal(record.source, '127.0.0.1');
  await world.clean();
  return record;
}

describe('a token', () => {
  for (const { name, token, headers, code, challenge } of tokens) {
    test(name, async () => {
      const bearer = await token?.();
      const asked = world.ehr.seen.length;
      const answer = await world.call('/Patient', { token: bearer, headers });
      const record = await refusedAs(answer, asked, { status: 401, code });
      assert.equal(record.actor, undefined, 'nobody is named by a token that is not valid');
      assert.equal(answer.headers.get('www-authenticate'),
        challenge === null ? `Bearer realm="halfdoor", DPoP realm="halfdoor", algs="${proofAlgorithms}"` : `Bearer realm="halfdoor", error="invalid_token", error_description="${code}"`);
    });
  }
});

describe('a call', () => {
  for (const { name, as = 'scheduling-a', path, headers, method, body, status, code } of calls) {
    test(name, async () => {
      const asked = world.ehr.seen.length;
      const answer = await world.call(path.startsWith('/../') ? world.gateway.origin + path.slice(3) : path, { as, headers, method, body });
      const record = await refusedAs(answer, asked, { status, code });
      if (code !== 'no-such-path') {
        assert.equal(record.actor.client, as);
      }
    });
  }
});

test('what was refused is served once it is asked rightly', async () => {
  const answer = await world.call('/Patient', { as: 'ticketless', headers: { 'Ticket-Id': 'INC-4711' } });
  assert.equal(answer.status, 200);
  const [record] = await world.gateway.records('--ticket', 'INC-4711');
  assert.equal(record.request_id, answer.request);
  assert.equal(record.kind, 'access');
  await world.clean();
});

test('neither the access log nor the operator\'s log holds patient data, raw ids or tokens', async () => {
  const log = await world.gateway.written();
  assert.ok(log.length > 0);
  for (const [what, text] of [['access log', log], ['operator\'s log', world.gateway.said]]) {
    assert.deepEqual(spilt(text), [], what);
    assert.doesNotMatch(text, /eyJ[A-Za-z0-9_-]{10}/, `${what}: a token`);
    assert.doesNotMatch(text, /1943-04-13|shoe-size|INC-999|yesterday/, `${what}: what a client wrote`);
  }
});
