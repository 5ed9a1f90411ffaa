// A dataset as an auditor reads it: from its YAML alone, with nothing of the gateway's own code.
//
// walk goes through what a client received and names everything that the dataset does not let
// out. It is slow and obvious on purpose.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const bundle = new URL('../../policies/bundle/halfdoor/datasets/', import.meta.url);
const subsetted = 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue|SUBSETTED';
const id = /^[A-Za-z0-9.-]{1,64}$/;

// What keeping an element leaves out, unless a row names it.
const stripped = ['extension', 'modifierExtension', 'display', 'text'];

export function loadDataset(name) {
  return new Dataset(name, parse(readFileSync(fileURLToPath(new URL(`${name}/data.yaml`, bundle)), 'utf8')));
}

class Dataset {
  constructor(name, document) {
    this.name = name;
    this.resources = document.resources;
  }

  get types() {
    return Object.keys(this.resources);
  }

  // How the element at a path leaves; undefined where it does not. Below a kept element everything
  // is kept, but for what is stripped.
  method(type, path) {
    const rows = this.resources[type] ?? {};
    if (rows[path]) {
      return rows[path];
    }
    const names = path.split('.');
    for (let n = names.length - 1; n > 0; n--) {
      const above = rows[names.slice(0, n).join('.')];
      if (above) {
        return above === 'keep' && !names.slice(n).some((name) => stripped.includes(name)) ? 'keep' : undefined;
      }
    }
    return undefined;
  }

  // Whether some row is below the path.
  leadsTo(type, path) {
    return Object.keys(this.resources[type] ?? {}).some((row) => row.startsWith(`${path}.`));
  }
}

// walk returns a sentence for each thing in a received resource that the dataset does not let out.
// base is the gateway's FHIR base URL.
export function walk(dataset, received, base) {
  const problems = [];
  const bad = (path, what) => problems.push(`${path}: ${what}`);
  const only = (object, names, path) => {
    for (const name of Object.keys(object)) {
      if (!names.includes(name)) {
        bad(`${path}.${name}`, 'is not part of an answer');
      }
    }
  };

  function resource(object, at) {
    switch (object?.resourceType) {
      case 'Bundle':
        return answer(object, at);
      case 'OperationOutcome':
        return outcome(object, at);
    }
    const type = object?.resourceType;
    if (!dataset.resources[type]) {
      return bad(at, `a ${type} has no row in ${dataset.name}`);
    }
    let tagged = false;
    for (const [name, value] of Object.entries(object)) {
      if (name === 'resourceType') {
        continue;
      }
      if (name === 'meta') {
        const { tag, ...rest } = value;
        tagged = Array.isArray(tag) && tag.some((t) => `${t.system}|${t.code}` === subsetted);
        for (const t of tag ?? []) {
          if (`${t.system}|${t.code}` !== subsetted && dataset.method(type, 'meta.tag') !== 'keep') {
            bad(`${at}.meta.tag`, 'a tag other than SUBSETTED');
          }
          only(t, ['system', 'code', 'display'], `${at}.meta.tag`);
        }
        element(type, 'meta', rest, `${at}.meta`);
        continue;
      }
      element(type, name, value, `${at}.${name}`);
    }
    if (!tagged) {
      bad(`${at}.meta.tag`, 'SUBSETTED is missing');
    }
  }

  function element(type, path, value, at) {
    if (Array.isArray(value)) {
      if (value.length === 0) {
        bad(at, 'is empty, and tells that there was something');
      }
      return value.forEach((v, i) => element(type, path, v, `${at}[${i}]`));
    }
    const names = path.split('.');
    const last = names.at(-1);
    if (last.startsWith('_')) { // the rest of a primitive: leaves where that leaves as it is
      path = [...names.slice(0, -1), last.slice(1)].join('.');
      if (dataset.method(type, path) !== 'keep') {
        return bad(at, 'is not in the dataset');
      }
    }
    switch (dataset.method(type, path)) {
      case 'keep':
        if (value && typeof value === 'object') {
          for (const [name, v] of Object.entries(value)) {
            element(type, `${path}.${name}`, v, `${at}.${name}`);
          }
        }
        return undefined;
      case 'token':
        return typeof value === 'string' && id.test(value) ? undefined : bad(at, 'is not a token');
      case 'mask':
        return value === '***' ? undefined : bad(at, 'is not masked');
      case 'year':
        return /^\d{4}$/.test(value) ? undefined : bad(at, 'is more than a year');
      case 'reference':
        return reference(value, at);
    }
    if (!dataset.leadsTo(type, path)) {
      return bad(at, 'is not in the dataset');
    }
    if (!value || typeof value !== 'object') {
      return bad(at, 'is a value where only some of its elements may leave');
    }
    for (const [name, v] of Object.entries(value)) {
      element(type, `${path}.${name}`, v, `${at}.${name}`);
    }
    return undefined;
  }

  function reference(value, at) {
    only(value, ['reference', 'type'], at);
    const relative = value.reference?.startsWith(`${base}/`) ? value.reference.slice(base.length + 1) : value.reference;
    if (relative === undefined) {
      return;
    }
    const [type, token, ...more] = relative.split('/');
    if (!/^[A-Z][A-Za-z]+$/.test(type) || !id.test(token ?? '') || more.length > 0) {
      bad(at, 'is not a type and a token');
    }
  }

  function answer(object, at) {
    only(object, ['resourceType', 'type', 'total', 'link', 'entry', 'meta'], at);
    for (const [i, link] of (object.link ?? []).entries()) {
      only(link, ['relation', 'url'], `${at}.link[${i}]`);
      if (!link.url.startsWith(`${base}/`)) {
        bad(`${at}.link[${i}].url`, 'is not an address of the gateway');
      }
    }
    for (const [i, entry] of (object.entry ?? []).entries()) {
      const here = `${at}.entry[${i}]`;
      if (object.type?.endsWith('-response')) {
        response(entry, here);
        continue;
      }
      only(entry, ['fullUrl', 'search', 'resource'], here);
      only(entry.search ?? {}, ['mode', 'score'], `${here}.search`);
      if (entry.resource?.resourceType !== 'OperationOutcome' &&
        entry.fullUrl !== `${base}/${entry.resource?.resourceType}/${entry.resource?.id}`) {
        bad(`${here}.fullUrl`, 'is not the address of the resource at the gateway');
      }
      resource(entry.resource, `${here}.resource`);
    }
  }

  // response is the answer to one entry of a batch or transaction.
  function response(entry, at) {
    only(entry, ['resource', 'response'], at);
    only(entry.response, ['status', 'location', 'etag', 'lastModified', 'outcome'], `${at}.response`);
    if (entry.response.location && !entry.response.location.startsWith(`${base}/`)) {
      bad(`${at}.response.location`, 'is not an address of the gateway');
    }
    if (entry.response.outcome) {
      outcome(entry.response.outcome, `${at}.response.outcome`);
    }
    if (entry.resource) {
      resource(entry.resource, `${at}.resource`);
    }
  }

  function outcome(object, at) {
    only(object, ['resourceType', 'issue'], at);
    for (const issue of object.issue) {
      only(issue, ['severity', 'code', 'details', 'diagnostics', 'expression'], `${at}.issue`);
      only(issue.details ?? {}, ['coding', 'text'], `${at}.issue.details`);
    }
  }

  resource(received, received?.resourceType ?? 'answer');
  return problems;
}
