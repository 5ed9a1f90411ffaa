// The authorization server: oidc-provider, with client_credentials and JWT access tokens, and for a few clients with
// what else it can: private_key_jwt, DPoP, opaque tokens and their introspection, the authorization code with PKCE.

import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import Provider from 'oidc-provider';
import { rawIDOf } from './data.js';

export const secret = 'a secret that only this test knows, and that opens nothing else';

// Each desk has two clients, to show that tokens of one are nothing to the other.
const desk = (name, category, purpose) => ({
  scope: 'system/*.rs',
  claims: { roles: [`helpdesk-${name}`], ticket: `INC-${name}-1`, ticket_category: category, purpose_of_use: purpose },
});
export const clients = {
  'access-a': desk('access', 'login', 'HOPERAT'),
  'access-b': desk('access', 'account', 'PATADMIN'),
  'scheduling-a': desk('scheduling', 'appointment', 'PATADMIN'),
  'scheduling-b': desk('scheduling', 'referral', 'PATRQT'),
  'billing-a': desk('billing', 'invoice', 'HPAYMT'),
  'billing-b': desk('billing', 'coverage', 'COVERAGE'),
  'scheduling-writer': { ...desk('scheduling', 'appointment', 'PATADMIN'), scope: 'system/*.cruds' },
  'old-scopes': { ...desk('scheduling', 'appointment', 'PATADMIN'), scope: 'system/Appointment.read system/Slot.read' },
  narrow: { ...desk('scheduling', 'appointment', 'PATADMIN'), scope: 'system/Appointment.rs' },
  nobody: { ...desk('scheduling', 'appointment', 'PATADMIN'), scope: '' },
  roleless: { scope: 'system/*.rs', claims: {} },
  ticketless: { scope: 'system/*.rs', claims: { roles: ['helpdesk-scheduling'] } },
  'wrong-category': desk('scheduling', 'invoice', 'PATADMIN'),
  'wrong-purpose': desk('scheduling', 'appointment', 'TREAT'),
  keyed: desk('scheduling', 'appointment', 'PATADMIN'), // has a key in place of a secret
  bound: desk('scheduling', 'appointment', 'PATADMIN'), // its tokens are bound by DPoP
  opaque: desk('scheduling', 'appointment', 'PATADMIN'),
  app: { // a public SMART app, launched for one patient
    scope: 'patient/*.rs launch/patient',
    claims: {
      ...desk('scheduling', 'appointment', 'PATADMIN').claims,
      patient: rawIDOf('Patient', 1), fhirUser: `Practitioner/${rawIDOf('Practitioner', 1)}`,
    },
  },
  gateway: { scope: '', claims: {} }, // asks about opaque tokens
  halfdoor: { scope: 'system/*.rs', claims: {} }, // the gateway at an EHR's own authorization server
};
export const callback = 'http://127.0.0.1:1/callback';
export const clientKey = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const gatewayKey = generateKeyPairSync('ec', { namedCurve: 'P-384' });
// The key by which the gateway shows who asks about opaque tokens, as its configuration has it.
export const introspectionKey = { ...gatewayKey.privateKey.export({ format: 'jwk' }), kid: 'gateway-1', alg: 'ES384', use: 'sig' };

const byKey = (keys) => ({
  client_secret: undefined, token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES384', ...keys,
});
const published = (pair, kid) => byKey({ jwks: { keys: [{ ...pair.publicKey.export({ format: 'jwk' }), kid, alg: 'ES384', use: 'sig' }] } });

const metadata = {
  keyed: () => published(clientKey, 'client-1'),
  gateway: () => published(gatewayKey, 'gateway-1'),
  halfdoor: (issuer) => (issuer.jwksURI ? byKey({ jwks_uri: issuer.jwksURI }) : {}),
  bound: () => ({ dpop_bound_access_tokens: true }),
  app: () => ({
    client_secret: undefined, token_endpoint_auth_method: 'none', application_type: 'native', grant_types: ['authorization_code'],
    response_types: ['code'], redirect_uris: [callback], scope: `openid ${clients.app.scope}`,
  }),
};

const scopes = [...new Set(Object.values(clients).flatMap((c) => c.scope.split(' ')).filter(Boolean))];

export class Issuer {
  static async start() {
    const issuer = new Issuer();
    issuer.server = createServer((request, response) => issuer.handle(request, response));
    await new Promise((resolve, reject) => {
      issuer.server.once('error', reject);
      issuer.server.listen(0, '127.0.0.1', resolve);
    });
    issuer.url = `http://127.0.0.1:${issuer.server.address().port}`;
    issuer.keys = [];
    issuer.life = 600; // of an access token, in seconds
    issuer.asserted = []; // by which key (kid) a client showed who it is, each time that it was believed
    issuer.rotate('signing-1');
    return issuer;
  }

  // rotate signs with a new key from now on. The one before stays published, as tokens by it are about; older ones do not.
  rotate(kid) {
    this.key = newKey(kid);
    this.keys = [this.key, ...this.keys].slice(0, 2);
    this.provider = new Provider(this.url, {
      clients: Object.entries(clients).map(([id, c]) => ({
        client_id: id, client_secret: secret, grant_types: ['client_credentials'], response_types: [], redirect_uris: [],
        ...(c.scope ? { scope: c.scope } : {}), ...metadata[id]?.(this),
      })),
      scopes,
      jwks: { keys: this.keys.map((k) => ({ ...k.privateKey.export({ format: 'jwk' }), kid: k.kid, alg: 'RS256', use: 'sig' })) },
      cookies: { keys: ['unused'] },
      fetch: (url, { dispatcher: _, ...options }) => fetch(url, options), // its own would not ask anybody on loopback for keys
      ttl: { ClientCredentials: () => this.life, AccessToken: 600, Grant: 600, Interaction: 600, Session: 600, IdToken: 600 },
      enabledJWA: { clientAuthSigningAlgValues: ['ES384', 'RS384'], dPoPSigningAlgValues: ['ES256'] },
      findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
      interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        dPoP: { enabled: true },
        introspection: { enabled: true, allowedPolicy: (_ctx, client) => client.clientId === 'gateway' },
        revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => client.clientId === token.clientId },
        resourceIndicators: {
          enabled: true,
          useGrantedResource: () => true,
          getResourceServerInfo: (_ctx, resource, client) => ({
            audience: resource, scope: scopes.join(' '), accessTokenTTL: 600, accessTokenFormat: client.clientId === 'opaque' ? 'opaque' : 'jwt',
            jwt: { sign: { alg: 'RS256', kid } },
          }),
        },
      },
      extraTokenClaims: (_ctx, token) => clients[token.clientId].claims,
    });
    this.provider.use(async (ctx, next) => {
      await next();
      if (ctx.status === 200 && ctx.oidc?.params?.client_assertion) {
        this.asserted.push(JSON.parse(Buffer.from(ctx.oidc.params.client_assertion.split('.')[0], 'base64url')).kid);
      }
    });
    const answer = this.provider.callback();
    this.handle = (request, response) => (request.url.startsWith('/interaction/') ? this.interact(request, response) : answer(request, response));
  }

  // interact signs a person in who agrees to everything.
  async interact(request, response) {
    const { prompt, params, session } = await this.provider.interactionDetails(request, response);
    let result = { login: { accountId: 'agent-app' } };
    if (prompt.name === 'consent') {
      const grant = new this.provider.Grant({ accountId: session.accountId, clientId: params.client_id });
      grant.addOIDCScope(params.scope);
      grant.addResourceScope(params.resource, params.scope);
      result = { consent: { grantId: await grant.save() } };
    }
    await this.provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
  }

  stop() {
    return new Promise((resolve) => {
      this.server.close(resolve);
      this.server.closeAllConnections();
    });
  }

  // An access token as a client gets it.
  async token(client, resource, { headers = basic(client), more = {}, type = 'Bearer' } = {}) {
    const body = { grant_type: 'client_credentials', resource, ...(clients[client].scope ? { scope: clients[client].scope } : {}), ...more };
    const response = await this.post('/token', body, headers);
    const answer = await response.json();
    if (!response.ok || answer.token_type !== type) {
      throw new Error(`the issuer gave ${client} no token: ${response.status} ${answer.error} ${answer.error_description}`);
    }
    return answer.access_token;
  }

  post(path, body, headers) {
    return fetch(`${this.url}${path}`, { method: 'POST', body: new URLSearchParams(body), headers });
  }

  // assertion is how the client that has a key shows who it is (RFC 7523).
  assertion() {
    const now = Math.floor(Date.now() / 1000);
    return {
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: jwt({ alg: 'ES384', kid: 'client-1' },
        { iss: 'keyed', sub: 'keyed', aud: this.url, jti: randomUUID(), iat: now, exp: now + 60 }, clientKey.privateKey, 'sha384'),
    };
  }

  // A token that the issuer would not make, signed with its own key or another.
  forge(client, resource, { header = {}, claims = {}, key = this.key } = {}) {
    const now = Math.floor(Date.now() / 1000);
    return compact({ alg: 'RS256', typ: 'at+jwt', kid: key.kid, ...header }, {
      ...clients[client].claims, iss: this.url, sub: client, client_id: client, aud: resource, scope: clients[client].scope,
      jti: String(now), iat: now, exp: now + 600, ...claims,
    }, key);
  }
}

export function basic(client) {
  return { Authorization: `Basic ${Buffer.from(`${client}:${encodeURIComponent(secret)}`).toString('base64')}` };
}

// jwt signs with an elliptic curve's key.
export function jwt(header, claims, key, hash) {
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${sign(hash, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

export function newKey(kid) {
  return { kid, ...generateKeyPairSync('rsa', { modulusLength: 2048 }) };
}

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function compact(header, claims, key) {
  const input = `${encode(header)}.${encode(claims)}`;
  if (header.alg === 'none') {
    return `${input}.`;
  }
  return `${input}.${sign('sha256', Buffer.from(input), key.privateKey).toString('base64url')}`;
}
