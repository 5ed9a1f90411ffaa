// Package certs holds what the gateway's listeners and its own calls trust: key pairs and pools of authorities that are
// loaded again without dropping a connection, server configurations made of them, and a development CA.
//
// What it guarantees:
//
//   - A key pair that is loaded can be served: the key belongs to the certificate, which is within its validity, names
//     at least one host and may stand for a server. One that cannot leaves the one in force as it was.
//   - A reload counts for the next handshake. Connections that are open stay open. Where clients show certificates,
//     sessions are not resumed, so that an authority that was removed counts no longer from then on.
//   - TLS 1.3, or 1.2 on request with ephemeral keys and authenticated encryption alone (RFC 9325, section 4.2). Nothing
//     older is ever spoken.
//   - A file of authorities is read whole or refused: x509's own way of passing over what it cannot read would let a
//     damaged file shrink the pool in silence.
//
// No error holds a key, nor any part of a file's content.
package certs
