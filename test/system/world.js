// EHR, issuer and gateway together, and what must hold for every answer that came out of them.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { canary, rawID } from './data.js';
import { loadDataset, walk } from './dataset.js';
import { EHR } from './ehr.js';
import { Gateway } from './gateway.js';
import { Issuer } from './issuer.js';
import { received, tap } from './wire.js';

tap();

export const datasets = Object.fromEntries(['access', 'scheduling', 'billing'].map((name) => [name, loadDataset(name)]));

export class World {
  // start makes and starts all three; edit changes the gateway's configuration, and prepare does what has to be done before it
  // serves.
  static async start(edit, prepare) {
    const world = new World();
    try {
      world.ehr = await EHR.start();
      world.issuer = await Issuer.start();
      world.gateway = await Gateway.make({ ehr: world.ehr.base, issuer: world.issuer.url, edit });
      await prepare?.(world);
      await world.gateway.start();
    } catch (e) {
      await world.stop();
      throw e;
    }
    return world;
  }

  constructor() {
    this.tokens = new Map(); // client → access token
    this.desks = new Map(); // access token → dataset
  }

  async stop() {
    await this.gateway?.remove();
    await this.issuer?.stop();
    await this.ehr?.stop();
  }

  get base() {
    return this.gateway.base;
  }

  // token is the access token of a client of the issuer.
  async token(client) {
    if (!this.tokens.has(client)) {
      const token = await this.issuer.token(client, this.base);
      this.tokens.set(client, token);
      this.desks.set(token, datasets[client.split('-')[0]] ?? datasets.scheduling);
    }
    return this.tokens.get(client);
  }

  // call asks the gateway as nobody's library would, and returns all of the answer. as is a client's
  // name, or a token, or nothing.
  async call(path, { as, token, headers = {}, method, body } = {}) {
    const bearer = as ? await this.token(as) : token;
    const request = randomUUID();
    const response = await fetch(path.startsWith('https:') ? path : `${this.base}${path}`, {
      method, body, headers: { 'X-Request-Id': request, ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}), ...headers },
    });
    const text = await response.text();
    return { request, status: response.status, headers: response.headers, text, json: parsed(text) };
  }

  // all follows a search to its end, and returns its resources.
  async all(as, search) {
    const found = [];
    for (let url = `${this.base}/${search}`; url;) {
      const { status, json, text } = await this.call(url, { as });
      assert.equal(status, 200, text);
      found.push(...(json.entry ?? []).map((e) => e.resource));
      url = json.link?.find((l) => l.relation === 'next')?.url;
    }
    return found;
  }

  // records are the access records of one call.
  records(request) {
    return this.gateway.records('--correlation', request);
  }

  // clean holds every answer since the last time against its client's dataset, and returns them.
  async clean() {
    const answers = (await received()).filter((a) => a.url.startsWith(this.gateway.origin));
    for (const a of answers) {
      const dataset = this.desks.get(a.token);
      const json = parsed(a.body);
      const problems = spilt(`${a.headers}\n${a.body.replace(ownQuery(a.url, json), '')}`, dataset);
      if (dataset && json?.resourceType) {
        problems.push(...walk(dataset, json, this.base));
      }
      assert.deepEqual(problems.slice(0, 8), [], `${a.status} ${a.url}`);
    }
    return answers;
  }
}

// spilt is what a text holds that may not leave to a desk, or to nobody.
export function spilt(text, dataset) {
  const found = [...text.matchAll(rawID)].map(([id]) => id);
  for (const [whole, type, path] of text.matchAll(canary)) {
    if (dataset?.method(type, path) !== 'keep') {
      found.push(whole);
    }
  }
  return [...new Set(found)];
}

// ownQuery is the link of a searchset to itself, where it says what the client asked and no more.
function ownQuery(url, json) {
  const self = json?.link?.find?.((l) => l.relation === 'self')?.url;
  const asked = new URL(url);
  const same = self && URL.canParse(self) && asked.pathname === new URL(self).pathname &&
    [...new URL(self).searchParams].every(([name, value]) => asked.searchParams.getAll(name).includes(value));
  return same ? self : '';
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
