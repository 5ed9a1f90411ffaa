// The authorization server: oidc-provider, with client_credentials and JWT access tokens.

import { createServer } from 'node:http';
import { generateKeyPairSync, sign } from 'node:crypto';
import Provider from 'oidc-provider';

const secret = 'a secret that only this test knows, and that opens nothing else';

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
    issuer.key = newKey('signing-1');
    const provider = new Provider(issuer.url, {
      clients: Object.entries(clients).map(([id, c]) => ({
        client_id: id, client_secret: secret, grant_types: ['client_credentials'], response_types: [], redirect_uris: [],
        ...(c.scope ? { scope: c.scope } : {}),
      })),
      scopes,
      jwks: { keys: [{ ...issuer.key.privateKey.export({ format: 'jwk' }), kid: issuer.key.kid, alg: 'RS256', use: 'sig' }] },
      cookies: { keys: ['unused'] },
      ttl: { ClientCredentials: 600 },
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_ctx, resource) => ({
            audience: resource, scope: scopes.join(' '), accessTokenTTL: 600, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
          }),
        },
      },
      extraTokenClaims: (_ctx, token) => clients[token.clientId].claims,
    });
    const answer = provider.callback();
    issuer.handle = (request, response) => answer(request, response);
    return issuer;
  }

  stop() {
    return new Promise((resolve) => {
      this.server.close(resolve);
      this.server.closeAllConnections();
    });
  }

  // An access token as a client gets it.
  async token(client, resource) {
    const body = new URLSearchParams({ grant_type: 'client_credentials', resource });
    if (clients[client].scope) {
      body.set('scope', clients[client].scope);
    }
    const response = await fetch(`${this.url}/token`, {
      method: 'POST', body, headers: { Authorization: `Basic ${Buffer.from(`${client}:${encodeURIComponent(secret)}`).toString('base64')}` },
    });
    const answer = await response.json();
    if (!response.ok || answer.token_type !== 'Bearer') {
      throw new Error(`the issuer gave ${client} no token: ${response.status} ${answer.error} ${answer.error_description}`);
    }
    return answer.access_token;
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
