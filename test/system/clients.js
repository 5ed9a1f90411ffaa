// Three FHIR client libraries, each asked in its own way for the same things.

import { createRequire } from 'node:module';
import { MedplumClient } from '@medplum/core';
import { Client as FHIRKit } from 'fhir-kit-client';

const require = createRequire(import.meta.url);

export const libraries = {
  'fhir-kit-client': (base, token) => {
    const client = new FHIRKit({ baseUrl: base, bearerToken: token });
    return {
      read: (type, id) => client.read({ resourceType: type, id }),
      create: (body, headers) => client.create({ resourceType: body.resourceType, body, options: { headers } }),
      update: (body, headers) => client.update({ resourceType: body.resourceType, id: body.id, body, options: { headers } }),
      patch: (type, id, operations) => client.patch({ resourceType: type, id, jsonPatch: operations }),
      batch: (body) => client.batch({ body }),
      transaction: (body) => client.transaction({ body }),
      async search(type, query) {
        const found = [];
        let pages = 0;
        for (let bundle = await client.search({ resourceType: type, searchParams: query }); bundle; bundle = await client.nextPage({ bundle })) {
          pages++;
          found.push(...(bundle.entry ?? []).map((e) => e.resource));
        }
        return { found, pages };
      },
      async discover() {
        const { authorizeUrl, tokenUrl } = await client.smartAuthMetadata();
        return { authorize: authorizeUrl?.href, token: tokenUrl?.href };
      },
    };
  },

  fhirclient: (base, token) => {
    const smart = require('fhirclient');
    const { getSecurityExtensions } = require('fhirclient/lib/smart');
    const stored = new Map();
    const storage = () => ({
      get: async (key) => stored.get(key), set: async (key, value) => stored.set(key, value), unset: async (key) => stored.delete(key),
    });
    const client = smart({ headers: {} }, {}, storage).client({ serverUrl: base, tokenResponse: { access_token: token } });
    return {
      read: (type, id) => client.request(`${type}/${id}`),
      async search(type, query) {
        const found = [];
        let pages = 0;
        await client.request(`${type}?${new URLSearchParams(query)}`, {
          pageLimit: 0,
          onPage(bundle) {
            pages++;
            found.push(...(bundle.entry ?? []).map((e) => e.resource));
          },
        });
        return { found, pages };
      },
      async discover() {
        const { authorizeUri, tokenUri } = await getSecurityExtensions(base);
        return { authorize: authorizeUri || undefined, token: tokenUri };
      },
    };
  },

  '@medplum/core': (base, token) => {
    const at = new URL(base);
    const client = new MedplumClient({
      baseUrl: at.origin, fhirUrlPath: at.pathname.slice(1), accessToken: token, fetch: (...args) => globalThis.fetch(...args), cacheTime: 0,
    });
    return {
      read: (type, id) => client.readResource(type, id),
      create: (body, headers) => client.createResource(body, { headers }),
      update: (body, headers) => client.updateResource(body, { headers }),
      patch: (type, id, operations) => client.patchResource(type, id, operations),
      batch: (body) => client.executeBatch(body),
      transaction: (body) => client.executeBatch(body),
      async search(type, query) {
        const found = [];
        let pages = 0;
        for await (const page of client.searchResourcePages(type, query)) {
          pages++;
          found.push(...page);
        }
        return { found, pages };
      },
      async discover() { // the library has no discovery of its own
        const document = await client.get(`${base}/.well-known/smart-configuration`);
        return { authorize: document.authorization_endpoint, token: document.token_endpoint };
      },
    };
  },
};
